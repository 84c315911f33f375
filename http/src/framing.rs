//! Follows a body to its end: how many of the next bytes still belong to the message (RFC 9112, 6 and 7).
//!
//! Strict on purpose. Chunk sizes are hex digits and nothing else, lines end in CRLF, extensions and trailers
//! are bounded: what is not of the grammar is [`Doubt::BadChunk`]. Payload is never looked at.

use byway_api::matching::is_token_char;

use crate::Doubt;

#[cfg(test)]
mod tests;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Ends with the connection.
    UntilClose,
    /// No HTTP any more, both ways, to the end of the connection.
    Tunnel,
}

/// Most bytes of all chunk extensions of a body together.
const MAX_EXTENSIONS: u32 = 4 * 1024;
/// Most bytes of all trailers of a body together.
const MAX_TRAILERS: u32 = 8 * 1024;
/// What a trailer line costs beside its bytes, so that their number is bounded as well (to 64).
const TRAILER_LINE: u32 = 128;
/// Most hex digits of a chunk size: what fits 64 bits, so that it cannot overflow.
const MAX_DIGITS: u8 = 16;

/// Where in a body the next byte is.
#[derive(Clone, Copy, Debug)]
pub struct BodyScan {
    state: State,
    /// Payload bytes left of the length or the chunk.
    left: u64,
    extensions: u32,
    trailers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    Length,
    Endless,
    /// Digits of a chunk size seen so far.
    Size(u8),
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the first byte of a trailer line, or of the blank line that ends them.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

impl BodyScan {
    /// At the first byte of a body.
    #[must_use]
    pub const fn new(body: Body) -> Self {
        let (state, left) = match body {
            Body::Empty | Body::Length(0) => (State::Done, 0),
            Body::Length(length) => (State::Length, length),
            Body::Chunked => (State::Size(0), 0),
            Body::UntilClose | Body::Tunnel => (State::Endless, u64::MAX),
        };
        Self { state, left, extensions: 0, trailers: 0 }
    }

    /// How many of `bytes` belong to this message. Fewer than all only when it is [`done`](Self::done).
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Doubt> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            let run = self.opaque_run();
            if run > 0 {
                let step = run.min((bytes.len() - at) as u64);
                self.skip(step);
                at += step as usize;
            } else {
                self.state = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The message is complete. Never so for what ends with the connection.
    #[must_use]
    pub fn done(&self) -> bool {
        self.state == State::Done
    }

    /// So many next bytes are payload, whatever they are: they may be moved without being looked at. `u64::MAX`
    /// for what ends with the connection.
    #[must_use]
    pub const fn opaque_run(&self) -> u64 {
        match self.state {
            State::Length | State::Data | State::Endless => self.left,
            _ => 0,
        }
    }

    /// Goes on behind `n` bytes of payload, at most [`opaque_run`](Self::opaque_run).
    pub fn skip(&mut self, n: u64) {
        debug_assert!(n <= self.opaque_run(), "only payload can be skipped");
        if self.state == State::Endless {
            return;
        }
        self.left = self.left.saturating_sub(n);
        if self.left == 0 {
            match self.state {
                State::Length => self.state = State::Done,
                State::Data => self.state = State::DataCr,
                _ => {}
            }
        }
    }

    /// One byte of chunked framing; never of payload.
    fn step(&mut self, byte: u8) -> Result<State, Doubt> {
        Ok(match (self.state, byte) {
            (State::Size(digits), byte) if byte.is_ascii_hexdigit() && digits < MAX_DIGITS => {
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                self.left = self.left << 4 | u64::from(digit);
                State::Size(digits + 1)
            }
            (State::Size(1..), b'\r') => State::SizeLf,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Size(1..), b';') | (State::Extension, b'\t' | b' '..=b'~') => {
                count(&mut self.extensions, 1, MAX_EXTENSIONS)?;
                State::Extension
            }
            (State::SizeLf, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::TrailerName, byte) if is_token_char(byte) => {
                let line = if self.state == State::TrailerStart { TRAILER_LINE } else { 0 };
                count(&mut self.trailers, line + 1, MAX_TRAILERS)?;
                State::TrailerName
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => {
                count(&mut self.trailers, 1, MAX_TRAILERS)?;
                State::TrailerValue
            }
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(Doubt::BadChunk),
        })
    }
}

fn count(counter: &mut u32, cost: u32, max: u32) -> Result<(), Doubt> {
    *counter += cost;
    if *counter > max { Err(Doubt::BadChunk) } else { Ok(()) }
}

/// What the headers of one message say about its length.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lengths {
    length: Option<u64>,
    chunked: bool,
}

impl Lengths {
    /// One Content-Length header. Repeated ones are refused even where they agree: some servers refuse them too.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<(), Doubt> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (self.length, length) {
            (None, Some(length)) => self.length = Some(length),
            _ => return Err(Doubt::BadLength),
        }
        Ok(())
    }

    /// One Transfer-Encoding header.
    pub(crate) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Doubt> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Doubt::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }

    /// The framing that was declared, if any.
    pub(crate) const fn body(&self, version: u8) -> Result<Option<Body>, Doubt> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Doubt::BothLengths),
            (None, true) if version == 0 => Err(Doubt::TransferEncoding),
            (None, true) => Ok(Some(Body::Chunked)),
            (Some(length), false) => Ok(Some(Body::Length(length))),
            (None, false) => Ok(None),
        }
    }
}
