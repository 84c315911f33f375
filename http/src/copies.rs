//! Requests out of copies of packets, for previews that are only shown what their target gets.
//!
//! [`Segments`] puts what the client sent in order, and a [`Reader`] finds the requests in it. Only whole ones: where
//! bytes are missing, or there are too many, a request is lost, and so told. Nothing here is on the way of a request.

mod answers;
mod frames;
mod http1;
mod http2;
mod segments;
#[cfg(test)]
mod tests;
mod unread;

pub use answers::Answers;
pub use segments::{Piece, Segments};

use crate::{Detected, detect, http2::Fields};

/// Longest request that is copied, with its body.
pub const MOST: usize = 4 << 20;

/// A request, as it was sent.
#[derive(Clone, Debug)]
pub enum Copied {
    /// Of HTTP/1: all of its bytes, of which so many are the head.
    Http1 {
        /// Head and body.
        bytes: Vec<u8>,
        /// Bytes of the head.
        head: usize,
    },
    /// Of HTTP/2.
    Http2 {
        /// Its number.
        stream: u32,
        /// Pseudo-headers and headers.
        fields: Fields,
        /// Of all its frames.
        body: Vec<u8>,
        /// Behind the body.
        trailers: Option<Fields>,
    },
}

impl Copied {
    /// What it takes of memory.
    #[must_use]
    pub fn held(&self) -> usize {
        match self {
            Self::Http1 { bytes, .. } => bytes.capacity(),
            Self::Http2 { fields, body, trailers, .. } => {
                fields.size() + body.capacity() + trailers.as_ref().map_or(0, Fields::size)
            }
        }
    }
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// A request.
    Whole(Copied),
    /// One of which only part was seen: its head, if that was.
    Lost(Option<Copied>),
}

/// Finds requests in what a client has sent.
#[derive(Debug)]
pub struct Reader(Speaks);

#[derive(Debug)]
enum Speaks {
    Unknown(Vec<u8>),
    /// Joined in the middle of a connection.
    Midway,
    Http1(http1::Reader),
    Http2(Box<http2::Reader>),
    /// HTTP/2 whose headers cannot be read.
    Unread(unread::Unread),
    /// Nothing that could be copied.
    Nothing,
}

impl Reader {
    /// From the first byte of a connection on.
    #[must_use]
    pub const fn new() -> Self {
        Self(Speaks::Unknown(Vec::new()))
    }

    /// From the next request of HTTP/1 on. Of HTTP/2 nothing can be read that does not begin at the beginning: its requests
    /// are lost, and so told.
    #[must_use]
    pub const fn midway() -> Self {
        Self(Speaks::Midway)
    }

    /// Takes what comes next, whether it is known or not.
    pub fn next(&mut self, piece: Piece<'_>, found: impl FnMut(Found)) {
        match piece {
            Piece::Bytes(bytes) => self.take(bytes, found),
            Piece::Missing(missing) => self.gap(missing, found),
        }
    }

    /// Takes what comes next.
    pub fn take(&mut self, bytes: &[u8], mut found: impl FnMut(Found)) {
        if let Speaks::Unknown(held) = &mut self.0 {
            held.extend_from_slice(bytes);
            let held = match detect(held) {
                Detected::NeedMore => return,
                of => {
                    let held = std::mem::take(held);
                    self.0 = match of {
                        Detected::Http1 => Speaks::Http1(http1::Reader::default()),
                        Detected::Http2 => Speaks::Http2(Box::default()),
                        _ => Speaks::Nothing,
                    };
                    held
                }
            };
            return self.read(&held, &mut found);
        }
        self.read(bytes, &mut found);
    }

    fn read(&mut self, bytes: &[u8], found: &mut impl FnMut(Found)) {
        if matches!(self.0, Speaks::Midway) {
            if http1::begins_a_request(bytes) {
                self.0 = Speaks::Http1(http1::Reader::default());
            } else if unread::begins_a_request(bytes) {
                self.0 = Speaks::Unread(unread::Unread::default());
            }
        }
        let goes_on = match &mut self.0 {
            Speaks::Http1(reader) => reader.take(bytes, found),
            Speaks::Http2(reader) => reader.take(bytes, found),
            Speaks::Unread(reader) => {
                reader.take(bytes, found);
                true
            }
            Speaks::Unknown(_) | Speaks::Midway | Speaks::Nothing => true,
        };
        if !goes_on {
            self.0 = Speaks::Nothing;
        }
    }

    /// So many bytes are missing before those that come next.
    pub fn gap(&mut self, missing: u32, mut found: impl FnMut(Found)) {
        match &mut self.0 {
            Speaks::Unknown(_) => *self = Self::midway(),
            Speaks::Http1(reader) => reader.gap(missing, &mut found),
            Speaks::Http2(reader) => {
                reader.give_up(&mut found);
                self.0 = Speaks::Unread(unread::Unread::default());
            }
            Speaks::Unread(reader) => reader.gap(missing),
            Speaks::Midway | Speaks::Nothing => {}
        }
    }

    /// No more will come.
    pub fn end(&mut self, found: impl FnMut(Found)) {
        self.gap(u32::MAX, found);
        self.0 = Speaks::Nothing;
    }

    /// Whether nothing will be found any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.0, Speaks::Nothing)
    }

    /// Whether it reads HTTP/2, of which every byte is needed.
    #[must_use]
    pub const fn needs_all(&self) -> bool {
        matches!(self.0, Speaks::Http2(_))
    }

    /// So many bytes that come next are of no use, whatever they are: of a body that is too long, or was lost.
    #[must_use]
    pub const fn unwanted(&self) -> u64 {
        match &self.0 {
            Speaks::Http1(reader) => reader.unwanted(),
            _ => 0,
        }
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.0 {
            Speaks::Unknown(held) => held.len(),
            Speaks::Http1(reader) => reader.held(),
            Speaks::Http2(reader) => reader.held(),
            Speaks::Midway | Speaks::Unread(_) | Speaks::Nothing => 0,
        }
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}
