//! Requests of HTTP/2, stream by stream, from the preface on.

use std::collections::HashMap;

use super::{
    Copied, Found, MOST,
    frames::{Frames, Seen},
};
use crate::{detect::PREFACE, http2::Fields};

/// Most streams at a time.
const MOST_STREAMS: usize = 4096;
/// Room for so many is kept where there are none.
const FEW_STREAMS: usize = 16;

#[derive(Debug)]
pub(super) struct Reader {
    /// Bytes of the preface that have come.
    preface: usize,
    frames: Frames,
    streams: Streams,
}

#[derive(Debug, Default)]
struct Streams {
    all: HashMap<u32, Request>,
    held: usize,
}

#[derive(Debug)]
struct Request {
    fields: Fields,
    body: Vec<u8>,
    trailers: Option<Fields>,
    is_too_long: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self { preface: 0, frames: Frames::keeping_data(), streams: Streams::default() }
    }
}

impl Reader {
    pub(super) fn held(&self) -> usize {
        let streams = self.streams.all.capacity() * size_of::<(u32, Request)>();
        self.streams.held + streams + self.frames.held()
    }

    /// Nothing more can be read.
    pub(super) fn give_up(&mut self, found: &mut impl FnMut(Found)) {
        for (stream, request) in std::mem::take(&mut self.streams).all {
            found(Found::Lost(Some(request.head(stream))));
        }
    }

    /// Whether more can follow.
    pub(super) fn take(&mut self, bytes: &[u8], found: &mut impl FnMut(Found)) -> bool {
        let skipped = (PREFACE.len() - self.preface).min(bytes.len());
        self.preface += skipped;
        let Self { frames, streams, .. } = self;
        let goes_on = frames.take(&bytes[skipped..], |seen| streams.see(seen, found)).is_ok();
        if !goes_on {
            self.give_up(found);
        }
        goes_on
    }
}

impl Streams {
    fn see(&mut self, seen: Seen<'_>, found: &mut impl FnMut(Found)) {
        match seen {
            Seen::Fields { stream, fields, is_last } => self.fields(stream, fields, is_last, found),
            Seen::Data { stream, bytes, is_last } => {
                let Some(request) = self.all.get_mut(&stream) else { return };
                request.is_too_long |= request.body.len() + bytes.len() > MOST;
                self.held -= request.body.capacity();
                if request.is_too_long {
                    request.body = Vec::new();
                } else {
                    request.body.extend_from_slice(bytes);
                }
                self.held += request.body.capacity();
                if is_last {
                    self.ends(stream, found);
                }
            }
            // The client does not want it any more.
            Seen::Reset(stream) => {
                if let Some(request) = self.remove(stream) {
                    found(Found::Lost(Some(request.head(stream))));
                }
            }
        }
    }

    fn fields(&mut self, stream: u32, fields: Fields, is_last: bool, found: &mut impl FnMut(Found)) {
        if let Some(request) = self.all.get_mut(&stream) {
            request.is_too_long |= fields.is_long();
            self.held += fields.size();
            self.held -= request.trailers.replace(fields).map_or(0, |before| before.size());
        } else if self.all.len() < MOST_STREAMS {
            self.held += fields.size();
            let is_too_long = fields.is_long();
            self.all.insert(stream, Request { fields, body: Vec::new(), trailers: None, is_too_long });
        } else {
            found(Found::Lost(None));
        }
        if is_last {
            self.ends(stream, found);
        }
    }

    fn ends(&mut self, stream: u32, found: &mut impl FnMut(Found)) {
        let Some(request) = self.remove(stream) else { return };
        found(if request.is_too_long {
            Found::Lost(Some(request.head(stream)))
        } else {
            let Request { fields, body, trailers, .. } = request;
            Found::Whole(Copied::Http2 { stream, fields, body, trailers })
        });
    }

    fn remove(&mut self, stream: u32) -> Option<Request> {
        let request = self.all.remove(&stream)?;
        self.held -= request.size();
        if self.all.is_empty() {
            self.all.shrink_to(FEW_STREAMS);
        }
        Some(request)
    }
}

impl Request {
    fn size(&self) -> usize {
        self.fields.size() + self.body.capacity() + self.trailers.as_ref().map_or(0, Fields::size)
    }

    fn head(self, stream: u32) -> Copied {
        Copied::Http2 { stream, fields: self.fields, body: Vec::new(), trailers: None }
    }
}
