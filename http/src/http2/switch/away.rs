//! A stream that is away: its request goes to a line, or is answered by the switch.

use std::collections::VecDeque;

use super::answer::Asker;
use crate::http2::fields::Fields;

/// A stream with a server that is not home.
#[derive(Debug)]
pub(super) struct Away {
    /// Over which line; none where the switch answers.
    pub(super) line: Option<u32>,
    /// What was asked, until the line has been told.
    pub(super) request: Option<Fields>,
    pub(super) asker: Asker,
    /// What is added to the head of the answer, encoded.
    pub(super) mark: Option<Box<[u8]>>,
    pub(super) up: Up,
    pub(super) down: Down,
}

/// The way from the client to the line.
#[derive(Debug, Default)]
pub(super) struct Up {
    /// Of the body, not sent on yet.
    pub(super) body: VecDeque<u8>,
    /// The block of the trailers, encoded.
    pub(super) trailers: Option<Vec<u8>>,
    /// The client has said everything.
    pub(super) ended: bool,
    /// It did so with the head: there are servers of gRPC that wait for ever for a body that a head has ended.
    pub(super) by_head: bool,
    /// The line has been told everything.
    pub(super) told: bool,
    /// What the line takes.
    pub(super) room: i64,
    /// What the client is owed of this stream's window.
    pub(super) owed: u32,
    /// Of `body`: what the client has not been given back of its connection's window.
    pub(super) unpaid: usize,
    /// What the client has made room for before the line knew of the stream.
    pub(super) updates: u32,
    /// The stream waits for its turn.
    pub(super) queued: bool,
}

/// The way back.
#[derive(Debug)]
pub(super) struct Down {
    pub(super) pieces: VecDeque<Piece>,
    /// What the client takes.
    pub(super) room: i64,
    /// Of the body that waits here: what the line was given back before it went on.
    pub(super) paid: usize,
    /// The head of the answer has come, and is no 1xx.
    pub(super) answered: bool,
    /// The line has said everything.
    pub(super) ended: bool,
    /// The client has been told everything.
    pub(super) told: bool,
    /// The stream waits for its turn.
    pub(super) queued: bool,
}

/// Something for the client.
#[derive(Debug)]
pub(super) enum Piece {
    /// Whole frames.
    Frames(Vec<u8>, Last),
    /// Of a body.
    Data(VecDeque<u8>, Last),
}

impl Piece {
    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Frames(bytes, _) => bytes.len(),
            Self::Data(bytes, _) => bytes.len(),
        }
    }
}

impl Down {
    /// Bytes of the body that wait.
    pub(super) fn body(&self) -> usize {
        let data = |piece: &Piece| if let Piece::Data(bytes, _) = piece { bytes.len() } else { 0 };
        self.pieces.iter().map(data).sum()
    }
}

/// What follows of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    More,
    /// It ends the answer.
    End,
    /// It ends the stream.
    Reset,
}

impl Away {
    pub(super) fn new(
        line: Option<u32>,
        request: &Fields,
        ended: bool,
        room: i64,
        mark: Option<Box<[u8]>>,
    ) -> Self {
        Self {
            line,
            request: line.map(|_| request.clone()),
            asker: Asker::of(request),
            mark,
            up: Up { ended, by_head: ended, ..Up::default() },
            down: Down {
                pieces: VecDeque::new(),
                room,
                paid: 0,
                answered: false,
                ended: false,
                told: false,
                queued: false,
            },
        }
    }

    /// The line knows of it.
    pub(super) const fn has_begun(&self) -> bool {
        self.line.is_some() && self.request.is_none()
    }

    /// The line is to be told something that it takes.
    pub(super) fn has_something(&self) -> bool {
        !self.up.told && (!self.up.body.is_empty() || self.up.ended)
    }
}
