//! Finds the end of a head, and what no head may contain, in one pass however the bytes arrive.
//!
//! This runs before any parser. What it lets through has lines that end in CRLF, no other CR or LF, no NUL and
//! no folded line, so that every later reader sees the same lines. In an answer a line may end in LF alone: who
//! reads such an answer at all ends its lines there.

use std::iter;

use arrayvec::ArrayVec;
use memchr::memchr;

use crate::{Doubt, Sender};

#[cfg(test)]
mod tests;

/// Longest head of a request, with its blank line. RFC 9112 sets no limit; common servers allow 8 to 64 KiB.
pub const MAX_HEAD: usize = 64 * 1024;
/// Longest head of an answer: what browsers allow.
pub const MAX_ANSWER_HEAD: usize = 256 * 1024;
/// Most headers of a request.
pub const MAX_HEADERS: usize = 128;

/// A header as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'b> {
    /// The name, in whatever case.
    pub name: &'b str,
    /// The value without blanks around it.
    pub value: &'b [u8],
}

/// Room for the headers of one request, for the caller's stack.
pub type HeaderSpace<'b> = ArrayVec<Header<'b>, MAX_HEADERS>;

/// Empty room for headers. Costs nothing: it stays uninitialised.
#[must_use]
pub const fn header_space<'b>() -> HeaderSpace<'b> {
    ArrayVec::new_const()
}

/// How far a head has been looked through.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    sender: Sender,
    /// Bytes before this one are fine and need not be looked at again.
    seen: usize,
    /// Where the current line begins.
    line: usize,
}

impl HeadScan {
    /// For the heads of answers. [`default`](Self::default) is for those of requests.
    #[must_use]
    pub const fn of_answers() -> Self {
        Self { sender: Sender::Server, seen: 0, line: 0 }
    }

    /// The length of the head at the start of `buf`, with its blank line; `None` when it is not all there yet.
    ///
    /// `buf` must begin with the same bytes each time until [`reset`](Self::reset).
    pub fn end(&mut self, buf: &[u8]) -> Result<Option<usize>, Doubt> {
        let window = &buf[..buf.len().min(self.longest())];
        while let Some(found) =
            window.get(self.seen..).and_then(|rest| memchr::memchr3(b'\r', b'\n', 0, rest))
        {
            // A line that begins with a blank is a fold, and known before its end.
            self.check_fold(window)?;
            let at = self.seen + found;
            let next = match (window[at], window.get(at + 1)) {
                (0, _) => return Err(Doubt::NulByte),
                (b'\n', _) if self.sender == Sender::Client => return Err(Doubt::BareLf),
                (b'\n', _) => at + 1,
                (_, Some(b'\n')) => at + 2,
                (_, Some(_)) => return Err(Doubt::BareCr),
                (_, None) => {
                    self.seen = at;
                    return self.more(buf);
                }
            };
            if at == 0 {
                return Err(Doubt::EmptyLine);
            }
            if at == self.line {
                return Ok(Some(next));
            }
            (self.seen, self.line) = (next, next);
        }
        self.check_fold(window)?;
        self.seen = window.len();
        self.more(buf)
    }

    /// Forgets everything: the next call is about another head.
    pub fn reset(&mut self) {
        *self = Self { sender: self.sender, ..Self::default() };
    }

    fn check_fold(&self, window: &[u8]) -> Result<(), Doubt> {
        match window.get(self.line) {
            Some(b' ' | b'\t') if self.line > 0 => Err(Doubt::ObsFold),
            _ => Ok(()),
        }
    }

    fn more(&self, buf: &[u8]) -> Result<Option<usize>, Doubt> {
        if buf.len() >= self.longest() { Err(Doubt::HeadTooLong) } else { Ok(None) }
    }
    const fn longest(&self) -> usize {
        match self.sender {
            Sender::Client => MAX_HEAD,
            Sender::Server => MAX_ANSWER_HEAD,
        }
    }
}

/// The lines of a complete head without their ends, up to the blank one.
pub(crate) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    iter::from_fn(move || {
        let (line, behind) = rest.split_at_checked(memchr(b'\n', rest)? + 1)?;
        rest = behind;
        let line = &line[..line.len() - 1];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then_some(line)
    })
}
