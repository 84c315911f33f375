//! Follows a body to its end: how many of the next bytes still belong to the message (RFC 9112, 6 and 7).
//!
//! Strict on purpose. Chunk sizes are hex digits, lines end in CRLF, extensions and trailers are bounded: what is
//! not of the grammar is [`Doubt::BadChunk`]. Payload is never looked at.
//!
//! In an answer more is beyond doubt than in a request. A request between two readings is one that somebody sneaked
//! past somebody; an answer is what a server happens to write, and what those clients that take it all read alike is
//! no doubt: [`Sender`].

use byway_api::matching::is_token_char;

use crate::Doubt;

#[cfg(test)]
mod tests;

/// Whose message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A request.
    #[default]
    Client,
    /// An answer.
    Server,
}

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
    sender: Sender,
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
    /// Blanks behind a chunk size. All clients pass over them, or refuse them.
    SizeBlank,
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
    /// At the first byte of a request's body.
    #[must_use]
    pub const fn new(body: Body) -> Self {
        Self::of(Sender::Client, body)
    }

    /// At the first byte of an answer's body.
    #[must_use]
    pub const fn of_answer(body: Body) -> Self {
        Self::of(Sender::Server, body)
    }

    const fn of(sender: Sender, body: Body) -> Self {
        let (state, left) = match body {
            Body::Empty | Body::Length(0) => (State::Done, 0),
            Body::Length(length) => (State::Length, length),
            Body::Chunked => (State::Size(0), 0),
            Body::UntilClose | Body::Tunnel => (State::Endless, u64::MAX),
        };
        Self { sender, state, left, extensions: 0, trailers: 0 }
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
            (State::Size(1..) | State::SizeBlank | State::Extension, b'\r') => State::SizeLf,
            (State::Size(1..) | State::SizeBlank, b' ' | b'\t') if self.sender == Sender::Server => {
                count(&mut self.extensions, 1, MAX_EXTENSIONS)?;
                State::SizeBlank
            }
            (State::Size(1..) | State::SizeBlank, b';') | (State::Extension, b'\t' | b' '..=b'~') => {
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    sender: Sender,
    length: Option<u64>,
    chunked: bool,
    doubt: Option<Doubt>,
}

impl Lengths {
    pub(crate) const fn of(sender: Sender) -> Self {
        Self { sender, length: None, chunked: false, doubt: None }
    }

    /// One Content-Length, with the blanks around it.
    pub(crate) fn content_length(&mut self, value: &[u8]) {
        let [front, digits, behind] = parted(value);
        let fits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let odd = self.is_odd(front) || behind.contains(&b'\t');
        let length = std::str::from_utf8(digits).ok().filter(|_| fits && !odd).and_then(|it| it.parse().ok());
        match (self.length, length) {
            (None, Some(length)) => self.length = Some(length),
            (Some(before), Some(length)) if before == length && self.may_repeat() => {}
            _ => self.in_doubt(Doubt::BadLength),
        }
    }

    /// One Transfer-Encoding, with the blanks around it. With one behind it, it is another coding for some.
    pub(crate) fn transfer_encoding(&mut self, value: &[u8]) {
        let [front, coding, behind] = parted(value);
        let chunked = coding.eq_ignore_ascii_case(b"chunked") && behind.is_empty() && !self.is_odd(front);
        if chunked && (!self.chunked || self.may_repeat()) {
            self.chunked = true;
        } else {
            self.in_doubt(Doubt::TransferEncoding);
        }
    }

    /// The length is in doubt, whatever else is said.
    pub(crate) fn in_doubt(&mut self, doubt: Doubt) {
        self.doubt.get_or_insert(doubt);
    }

    /// The framing that was declared, if any.
    pub(crate) const fn body(&self, version: u8) -> Result<Option<Body>, Doubt> {
        match (self.doubt, self.length, self.chunked) {
            (Some(doubt), ..) => Err(doubt),
            (None, Some(_), true) => Err(Doubt::BothLengths),
            (None, None, true) if version == 0 => Err(Doubt::TransferEncoding),
            (None, None, true) => Ok(Some(Body::Chunked)),
            (None, Some(length), false) => Ok(Some(Body::Length(length))),
            (None, None, false) => Ok(None),
        }
    }

    /// Servers refuse what is said twice, even where it agrees; clients refuse it or read it as said once.
    fn may_repeat(&self) -> bool {
        self.sender == Sender::Server
    }

    /// A tab in front of a value is a blank (RFC 9110, 5.6.3), but there are servers that do not take it for one, and
    /// then see another value, or none. Nobody sends a request with it but to get past somebody. Clients all do.
    fn is_odd(&self, front: &[u8]) -> bool {
        self.sender == Sender::Client && front.contains(&b'\t')
    }
}

/// A value, and the blanks before and behind it.
fn parted(value: &[u8]) -> [&[u8]; 3] {
    let front = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let (front, rest) = value.split_at(front);
    let bare = trim(rest);
    [front, bare, &rest[bare.len()..]]
}

/// Without optional whitespace around it (RFC 9110, 5.6.3): blanks and tabs, nothing else.
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
