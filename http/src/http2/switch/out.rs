//! What is to be sent to a side, and has not been taken yet. What goes on as it came is sent from where it was read: it
//! is copied only when the side does not take it at once.

use arrayvec::ArrayVec;

/// The largest buffer that is kept while nothing waits.
const MOST_KEPT: usize = 2048;
/// Bytes that have been taken, from which on what is left is moved to the front.
const MOST_SENT: usize = 64 * 1024;
/// A shorter run is copied, which costs less than to send one part more.
const WORTH: usize = 1024;
/// Runs of one input.
const MOST_RUNS: usize = 31;
/// Most [parts](Out::parts): runs, what stands before each, and what stands behind the last one.
pub const MOST_PARTS: usize = 2 * MOST_RUNS + 1;

/// Bytes that came from a side, and what of them goes on as it came.
#[derive(Debug)]
pub struct Input<'a> {
    pub(super) rest: &'a [u8],
    runs: ArrayVec<Run<'a>, MOST_RUNS>,
}

#[derive(Debug)]
struct Run<'a> {
    /// Where it belongs in what waits.
    at: usize,
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    /// Bytes as they were read.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, runs: ArrayVec::new_const() }
    }

    /// As much as there is of `most` bytes; none if there is nothing.
    pub(super) fn some(&mut self, most: usize) -> Option<&'a [u8]> {
        some(&mut self.rest, most)
    }
}

/// As much of `input` as there is of `most` bytes; none if there is nothing.
pub(super) fn some<'a>(input: &mut &'a [u8], most: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    (!bytes.is_empty()).then_some(bytes)
}

/// Bytes for one side.
#[derive(Debug, Default)]
pub struct Out {
    pub(super) bytes: Vec<u8>,
    sent: usize,
}

impl Out {
    /// What is to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// How much waits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// The next bytes of `input`, at most `most`, are to be sent as they are; how many those are.
    pub(super) fn pass(&mut self, input: &mut Input<'_>, most: usize) -> Option<usize> {
        let bytes = input.some(most)?;
        if bytes.len() < WORTH || input.runs.is_full() {
            self.bytes.extend_from_slice(bytes);
        } else {
            input.runs.push(Run { at: self.bytes.len(), bytes });
        }
        Some(bytes.len())
    }

    /// What is to be sent, with what goes on of `input`. [`keep`](Self::keep) follows before anything else.
    #[must_use]
    pub fn parts<'a>(&'a self, input: &Input<'a>) -> ArrayVec<&'a [u8], MOST_PARTS> {
        let mut parts = ArrayVec::new();
        let mut from = self.sent;
        for run in &input.runs {
            parts.extend((from < run.at).then(|| &self.bytes[from..run.at]));
            parts.push(run.bytes);
            from = run.at;
        }
        parts.extend((from < self.bytes.len()).then(|| &self.bytes[from..]));
        parts
    }

    /// The first `taken` bytes of the parts have been taken; the rest waits.
    // By value, since nothing of it may be sent again.
    #[allow(clippy::needless_pass_by_value)]
    pub fn keep(&mut self, input: Input<'_>, mut taken: usize) {
        if input.runs.is_empty() {
            return self.advance(taken);
        }
        let mut rest = Vec::new();
        for part in self.parts(&input) {
            let skipped = taken.min(part.len());
            taken -= skipped;
            rest.extend_from_slice(&part[skipped..]);
        }
        self.clear();
        if !rest.is_empty() {
            self.bytes = rest;
        }
    }

    /// The first `len` bytes have been taken.
    pub fn advance(&mut self, len: usize) {
        self.sent += len;
        if self.is_empty() {
            self.clear();
            if self.bytes.capacity() > MOST_KEPT {
                self.bytes = Vec::new();
            }
        } else if self.sent >= MOST_SENT.max(self.len()) {
            // No more is moved than has been taken, so moving never costs more than taking did.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Nobody is there to take it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests;
