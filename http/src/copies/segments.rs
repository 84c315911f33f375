//! Payloads of TCP put in order by their sequence numbers, however often and in whatever order they came.

use std::collections::VecDeque;

/// Most bytes that wait for what is missing before them.
const MOST_WAITING: usize = 1 << 20;

/// What one side has sent.
#[derive(Debug)]
pub struct Segments {
    /// Of the byte that comes next.
    next: u32,
    /// Behind a gap, in order.
    waiting: VecDeque<Waiting>,
    /// Bytes of their payloads.
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    seq: u32,
    payload: Vec<u8>,
    missing: u32,
}

/// What is next in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// So many that are not known, and will not be.
    Missing(u32),
}

impl Segments {
    /// `next` is the sequence number of the first byte.
    #[must_use]
    pub const fn new(next: u32) -> Self {
        Self { next, waiting: VecDeque::new(), bytes: 0 }
    }

    /// Takes a payload, of which so many bytes are `missing` at its end, and hands on what is in order now. Whether there was
    /// room: if not, [`skip`](Self::skip).
    pub fn take(&mut self, seq: u32, payload: &[u8], missing: u32, mut to: impl FnMut(Piece<'_>)) -> bool {
        let ahead = seq.wrapping_sub(self.next).cast_signed();
        if ahead > 0 {
            if self.held() + payload.len() > MOST_WAITING {
                return false;
            }
            let next = self.next;
            let at = self.waiting.partition_point(|it| it.seq.wrapping_sub(next) <= ahead.unsigned_abs());
            self.waiting.insert(at, Waiting { seq, payload: payload.to_vec(), missing });
            self.bytes += payload.len();
            return true;
        }
        self.hand_on(ahead.unsigned_abs(), payload, missing, &mut to);
        self.follow(&mut to);
        true
    }

    /// The sequence number of the byte that comes next.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// How many bytes are missing before some that came.
    #[must_use]
    pub fn gap(&self) -> Option<u32> {
        self.waiting.front().map(|it| it.seq.wrapping_sub(self.next))
    }

    /// Goes on behind a gap. What follows it is handed on.
    pub fn skip(&mut self, mut to: impl FnMut(Piece<'_>)) {
        if let Some(first) = self.waiting.front() {
            self.next = first.seq;
            self.follow(&mut to);
        }
    }

    /// What those that wait take of memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.bytes + self.waiting.capacity() * size_of::<Waiting>()
    }

    fn follow(&mut self, to: &mut impl FnMut(Piece<'_>)) {
        while let Some(first) = self.waiting.front() {
            let behind = self.next.wrapping_sub(first.seq).cast_signed();
            if behind < 0 {
                return;
            }
            let Some(Waiting { payload, missing, .. }) = self.waiting.pop_front() else { return };
            self.bytes -= payload.len();
            self.hand_on(behind.unsigned_abs(), &payload, missing, to);
        }
        // Room for many is not kept: hardly ever does any wait.
        self.waiting = VecDeque::new();
    }

    /// What is new of a payload whose first bytes have been handed on before.
    fn hand_on(&mut self, behind: u32, payload: &[u8], missing: u32, to: &mut impl FnMut(Piece<'_>)) {
        let old = behind as usize;
        if let Some(rest) = payload.get(old..).filter(|rest| !rest.is_empty()) {
            to(Piece::Bytes(rest));
            self.next = self.next.wrapping_add(rest.len() as u32);
        }
        let old = old.saturating_sub(payload.len()) as u32;
        let missing = missing.saturating_sub(old);
        if missing > 0 {
            to(Piece::Missing(missing));
            self.next = self.next.wrapping_add(missing);
        }
    }
}
