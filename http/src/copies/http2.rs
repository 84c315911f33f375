//! Requests of HTTP/2, stream by stream, from the preface on.

use std::collections::HashMap;

use super::{Copied, Found, MOST};
use crate::{
    detect::PREFACE,
    http2::{
        Fields,
        frame::{self, Head, Walker, flag, kind},
        hpack::Decoder,
    },
};

/// Longest payload that is put together. No server takes one without having said so.
const MOST_FRAME: usize = 1 << 20;
/// Longest block, and most streams at a time.
const MOST_BLOCK: usize = 512 << 10;
const MOST_STREAMS: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Bytes of the preface that have come.
    preface: usize,
    walker: Walker,
    frame: Option<Head>,
    payload: Vec<u8>,
    decoder: Decoder,
    block: Option<Block>,
    streams: HashMap<u32, Request>,
    held: usize,
}

#[derive(Debug)]
struct Block {
    stream: u32,
    ended: bool,
    fragments: Vec<u8>,
}

#[derive(Debug)]
struct Request {
    fields: Fields,
    body: Vec<u8>,
    trailers: Option<Fields>,
    is_too_long: bool,
}

impl Reader {
    pub(super) const fn held(&self) -> usize {
        self.held + self.payload.capacity()
    }

    /// Nothing more can be read.
    pub(super) fn give_up(&mut self, found: &mut impl FnMut(Found)) {
        for (_, request) in self.streams.drain() {
            found(Found::Lost(Some(request.head())));
        }
        self.held = 0;
    }

    /// Whether more can follow.
    pub(super) fn take(&mut self, mut bytes: &[u8], found: &mut impl FnMut(Found)) -> bool {
        let skipped = (PREFACE.len() - self.preface).min(bytes.len());
        self.preface += skipped;
        bytes = &bytes[skipped..];
        loop {
            let Some(head) = self.frame.take().or_else(|| self.walker.head(&mut bytes)) else { return true };
            if head.len > MOST_FRAME {
                self.give_up(found);
                return false;
            }
            let Some(payload) = frame::whole(&mut self.payload, &mut bytes, head.len) else {
                self.frame = Some(head);
                return true;
            };
            if !self.frame(&head, &payload, found) {
                self.give_up(found);
                return false;
            }
        }
    }

    /// Whether it made sense.
    fn frame(&mut self, head: &Head, payload: &[u8], found: &mut impl FnMut(Found)) -> bool {
        if let Some(mut block) = self.block.take() {
            if head.kind != kind::CONTINUATION || block.fragments.len() + payload.len() > MOST_BLOCK {
                return false;
            }
            block.fragments.extend_from_slice(payload);
            return self.fragment(block, head.has(flag::END_HEADERS), found);
        }
        match head.kind {
            kind::HEADERS => {
                let Some((_, fragment)) = head.fragment(payload) else { return false };
                let (stream, ended) = (head.stream, head.has(flag::END_STREAM));
                let block = Block { stream, ended, fragments: fragment.to_vec() };
                self.fragment(block, head.has(flag::END_HEADERS), found)
            }
            kind::DATA => {
                let Some(data) = head.without_padding(payload) else { return false };
                if let Some(request) = self.streams.get_mut(&head.stream) {
                    request.is_too_long |= request.body.len() + data.len() > MOST;
                    if request.is_too_long {
                        self.held -= std::mem::take(&mut request.body).len();
                    } else {
                        request.body.extend_from_slice(data);
                        self.held += data.len();
                    }
                    if head.has(flag::END_STREAM) {
                        self.ends(head.stream, found);
                    }
                }
                true
            }
            kind::RST_STREAM => {
                // The client does not want it any more.
                if let Some(request) = self.streams.remove(&head.stream) {
                    self.held -= request.size();
                    found(Found::Lost(Some(request.head())));
                }
                true
            }
            _ => true,
        }
    }

    fn fragment(&mut self, block: Block, is_last: bool, found: &mut impl FnMut(Found)) -> bool {
        if !is_last {
            self.block = Some(block);
            return true;
        }
        let mut fields = Fields::default();
        if self.decoder.decode(&block.fragments, &mut fields, None).is_err() {
            return false;
        }
        if let Some(request) = self.streams.get_mut(&block.stream) {
            self.held += fields.size();
            request.trailers = Some(fields);
        } else if self.streams.len() < MOST_STREAMS {
            self.held += fields.size();
            let is_too_long = fields.is_long();
            let request = Request { fields, body: Vec::new(), trailers: None, is_too_long };
            self.streams.insert(block.stream, request);
        } else {
            found(Found::Lost(None));
        }
        if block.ended {
            self.ends(block.stream, found);
        }
        true
    }

    fn ends(&mut self, stream: u32, found: &mut impl FnMut(Found)) {
        let Some(request) = self.streams.remove(&stream) else { return };
        self.held -= request.size();
        found(if request.is_too_long {
            Found::Lost(Some(request.head()))
        } else {
            let Request { fields, body, trailers, .. } = request;
            Found::Whole(Copied::Http2 { fields, body, trailers })
        });
    }
}

impl Request {
    fn size(&self) -> usize {
        self.fields.size() + self.body.len() + self.trailers.as_ref().map_or(0, Fields::size)
    }

    fn head(self) -> Copied {
        Copied::Http2 { fields: self.fields, body: Vec::new(), trailers: None }
    }
}
