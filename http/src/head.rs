//! Finds the end of a head, and what no head may contain, in one pass however the bytes arrive.
//!
//! This runs before any parser. What it lets through has lines that end in CRLF, no other CR or LF, no NUL and
//! no folded line, so that every later reader sees the same lines. Requests and responses alike.

use std::mem::MaybeUninit;

use crate::Doubt;

#[cfg(test)]
mod tests;

/// Longest head, with its blank line. RFC 9112 sets no limit; common servers allow 8 to 64 KiB.
pub const MAX_HEAD: usize = 64 * 1024;
/// Most headers of a head.
pub const MAX_HEADERS: usize = 128;

/// Room for the headers of one head, for the caller's stack.
pub type HeaderSpace<'b> = [MaybeUninit<httparse::Header<'b>>; MAX_HEADERS];

/// Empty room for headers. Costs nothing: it stays uninitialised.
#[must_use]
pub const fn header_space<'b>() -> HeaderSpace<'b> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// How far a head has been looked through.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    /// Bytes before this one are fine and need not be looked at again.
    seen: usize,
    /// Where the current line begins.
    line: usize,
}

impl HeadScan {
    /// The length of the head at the start of `buf`, with its blank line; `None` when it is not all there yet.
    ///
    /// `buf` must begin with the same bytes each time until [`reset`](Self::reset).
    pub fn end(&mut self, buf: &[u8]) -> Result<Option<usize>, Doubt> {
        let window = &buf[..buf.len().min(MAX_HEAD)];
        while let Some(found) =
            window.get(self.seen..).and_then(|rest| memchr::memchr3(b'\r', b'\n', 0, rest))
        {
            // A line that begins with a blank is a fold, and known before its end.
            self.check_fold(window)?;
            let at = self.seen + found;
            match window[at] {
                b'\n' => return Err(Doubt::BareLf),
                0 => return Err(Doubt::NulByte),
                _ => {}
            }
            match window.get(at + 1) {
                Some(b'\n') if at == 0 => return Err(Doubt::EmptyLine),
                Some(b'\n') if at == self.line => return Ok(Some(at + 2)),
                Some(b'\n') => (self.seen, self.line) = (at + 2, at + 2),
                Some(_) => return Err(Doubt::BareCr),
                None => {
                    self.seen = at;
                    return self.more(buf);
                }
            }
        }
        self.check_fold(window)?;
        self.seen = window.len();
        self.more(buf)
    }

    /// Forgets everything: the next call is about another head.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn check_fold(&self, window: &[u8]) -> Result<(), Doubt> {
        match window.get(self.line) {
            Some(b' ' | b'\t') if self.line > 0 => Err(Doubt::ObsFold),
            _ => Ok(()),
        }
    }

    fn more(&self, buf: &[u8]) -> Result<Option<usize>, Doubt> {
        if buf.len() >= MAX_HEAD { Err(Doubt::HeadTooLong) } else { Ok(None) }
    }
}
