//! The streams of HTTP/2 (RFC 9113) that are open, by the frames of both ways: only where they were followed from the
//! first stream on. What is in the frames is not looked at.

use std::collections::HashMap;

use byway_http::{Detected, detect, detect::PREFACE};

use super::way::Piece;

/// Most streams that are kept in mind.
const MOST_OPEN: usize = 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;

#[derive(Default)]
pub(super) enum Streams {
    /// Nothing has come yet: whatever comes begins with a frame, or with the preface.
    #[default]
    Start,
    Followed(Box<Frames>),
    /// This is no HTTP/2, or it cannot be told any more which streams are open.
    Lost,
}

#[derive(Default)]
pub(super) struct Frames {
    up: Scan,
    down: Scan,
    /// Those that are open, and which ends have said their last word: the client's, the server's.
    open: HashMap<u32, [bool; 2]>,
    last: u32,
}

/// Where in its frames one way is.
#[derive(Default)]
struct Scan {
    header: Vec<u8>,
    /// Bytes of payload to come.
    left: u64,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Streams {
    pub(super) fn take_request(&mut self, piece: Piece<'_>) {
        if matches!(self, Self::Start) {
            *self = match detect(piece.bytes) {
                Detected::Http1 => Self::Lost,
                _ => Self::begin(piece.bytes.starts_with(PREFACE)),
            };
        }
        self.take(piece, 0);
    }

    pub(super) fn take_answer(&mut self, piece: Piece<'_>) {
        if matches!(self, Self::Start) {
            *self = Self::begin(false);
        }
        self.take(piece, 1);
    }

    /// All of them have been seen, and have come to their end.
    pub(super) fn are_closed(&self) -> bool {
        let Self::Followed(it) = self else { return false };
        it.last > 0 && it.open.is_empty() && it.up.is_at_rest() && it.down.is_at_rest()
    }

    fn begin(has_preface: bool) -> Self {
        let mut frames = Box::<Frames>::default();
        frames.up.left = if has_preface { PREFACE.len() as u64 } else { 0 };
        Self::Followed(frames)
    }

    fn take(&mut self, piece: Piece<'_>, end: usize) {
        if let Self::Followed(frames) = self
            && (piece.is_behind_gap || frames.take(piece, end).is_none())
        {
            *self = Self::Lost;
        }
    }
}

impl Frames {
    /// `end` sends. `None` when it cannot be followed.
    fn take(&mut self, piece: Piece<'_>, end: usize) -> Option<()> {
        let mut rest = piece.bytes;
        loop {
            let scan = if end == 0 { &mut self.up } else { &mut self.down };
            match scan.next(&mut rest) {
                Ok(None) => return scan.skip(piece.missing),
                Ok(Some(frame)) => self.note(&frame, end)?,
                Err(()) => return None,
            }
        }
    }

    fn note(&mut self, frame: &Frame, end: usize) -> Option<()> {
        let Frame { kind, flags, stream } = *frame;
        match kind {
            PUSH_PROMISE | GOAWAY => return None,
            RST_STREAM => drop(self.open.remove(&stream)),
            HEADERS if end == 0 && stream > self.last => {
                // Of those before it, nobody knows.
                if (self.last == 0 && stream != 1) || self.open.len() == MOST_OPEN {
                    return None;
                }
                self.last = stream;
                self.open.insert(stream, [false; 2]);
            }
            _ => {}
        }
        if matches!(kind, DATA | HEADERS)
            && flags & END_STREAM != 0
            && let Some(ended) = self.open.get_mut(&stream)
        {
            ended[end] = true;
            if *ended == [true; 2] {
                self.open.remove(&stream);
            }
        }
        Some(())
    }
}

impl Scan {
    const HEADER: usize = 9;

    /// The next frame whose header is complete, if there is one in `rest`.
    fn next(&mut self, rest: &mut &[u8]) -> Result<Option<Frame>, ()> {
        let payload = self.left.min(rest.len() as u64);
        self.left -= payload;
        *rest = &rest[payload as usize..];
        if self.left > 0 {
            return Ok(None);
        }
        let more = (Self::HEADER - self.header.len()).min(rest.len());
        self.header.extend_from_slice(&rest[..more]);
        *rest = &rest[more..];
        let Some(header) = self.header.first_chunk::<{ Self::HEADER }>() else { return Ok(None) };
        let (len, frame) = read(*header)?;
        self.left = len.into();
        self.header.clear();
        Ok(Some(frame))
    }

    /// What was not copied must be payload.
    fn skip(&mut self, missing: u64) -> Option<()> {
        self.left = self.left.checked_sub(missing)?;
        Some(())
    }

    fn is_at_rest(&self) -> bool {
        self.header.is_empty() && self.left == 0
    }
}

/// The header of a frame (RFC 9113, 4.1), if it can be one: bytes of something else hardly ever can.
fn read(header: [u8; Scan::HEADER]) -> Result<(u32, Frame), ()> {
    let [a, b, c, kind, flags, id @ ..] = header;
    let (len, stream) = (u32::from_be_bytes([0, a, b, c]), u32::from_be_bytes(id));
    let fits = match kind {
        DATA | HEADERS | PUSH_PROMISE | 9 => stream > 0,
        2 => stream > 0 && len == 5,
        RST_STREAM => stream > 0 && len == 4,
        4 => stream == 0 && len.is_multiple_of(6),
        6 => stream == 0 && len == 8,
        GOAWAY => stream == 0 && len >= 8,
        8 => len == 4,
        // Extensions: ALTSVC, ORIGIN, PRIORITY_UPDATE.
        10 | 12 | 16 => true,
        _ => false,
    };
    if fits && stream >> 31 == 0 { Ok((len, Frame { kind, flags, stream })) } else { Err(()) }
}
