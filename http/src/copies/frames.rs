//! What one side of a connection of HTTP/2 sends, from its beginning on: field blocks decoded, and other frames.

use crate::http2::{
    Fields,
    frame::{self, Head, Walker, flag, kind},
    hpack::Decoder,
};

/// Longest payload that is put together. No server takes one without having said so.
const MOST_FRAME: usize = 1 << 20;
/// Longest block.
const MOST_BLOCK: usize = 512 << 10;

/// From frame to frame, past payloads that do not matter.
#[derive(Debug, Default)]
pub(super) struct Walk {
    walker: Walker,
    /// Bytes to come of a frame of which only the head matters.
    left: usize,
}

impl Walk {
    /// The next head, as soon as it is whole.
    pub(super) fn head(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        let over = self.left.min(bytes.len());
        self.left -= over;
        *bytes = &bytes[over..];
        self.walker.head(bytes)
    }

    /// Of the frame whose head came last, the payload does not matter.
    pub(super) const fn pass(&mut self, head: &Head) {
        self.left = head.len;
    }

    /// So many bytes are not known. Whether it is known where the next frame begins.
    pub(super) fn gap(&mut self, missing: u32) -> bool {
        let left = self.left.checked_sub(missing as usize);
        self.left = left.unwrap_or_default();
        left.is_some() && self.walker.begun().is_empty()
    }
}

#[derive(Debug, Default)]
pub(super) struct Frames {
    keeps_data: bool,
    walk: Walk,
    frame: Option<Head>,
    /// Of that frame, while it is put together.
    payload: Vec<u8>,
    block: Option<Block>,
    decoder: Decoder,
}

#[derive(Debug)]
struct Block {
    stream: u32,
    is_last: bool,
    fragments: Vec<u8>,
}

/// What comes next.
pub(super) enum Seen<'a> {
    /// A whole field block, and whether its stream ends with it.
    Fields { stream: u32, fields: Fields, is_last: bool },
    /// Of DATA, if it is kept: the payload without padding.
    Data { stream: u32, bytes: &'a [u8], is_last: bool },
    /// RST_STREAM.
    Reset(u32),
}

/// It makes no sense, or is too long: what follows cannot be read.
pub(super) struct Senseless;

impl Frames {
    pub(super) fn keeping_data() -> Self {
        Self { keeps_data: true, ..Self::default() }
    }

    pub(super) fn held(&self) -> usize {
        let block = self.block.as_ref().map_or(0, |block| block.fragments.capacity());
        self.payload.capacity() + block + self.decoder.held()
    }

    pub(super) fn take(&mut self, mut bytes: &[u8], mut to: impl FnMut(Seen<'_>)) -> Result<(), Senseless> {
        loop {
            let Some(head) = self.frame.take().or_else(|| self.walk.head(&mut bytes)) else {
                return Ok(());
            };
            let is_between = self.block.is_some() && head.kind != kind::CONTINUATION;
            // A promise has a block, too. Hardly any client has let servers push, and none does so itself.
            if is_between || head.len > MOST_FRAME || head.kind == kind::PUSH_PROMISE {
                return Err(Senseless);
            }
            let is_kept = match head.kind {
                kind::HEADERS | kind::CONTINUATION => true,
                kind::DATA => self.keeps_data,
                _ => false,
            };
            if !is_kept {
                if head.kind == kind::RST_STREAM {
                    to(Seen::Reset(head.stream));
                }
                self.walk.pass(&head);
                continue;
            }
            let Some(payload) = frame::whole(&mut self.payload, &mut bytes, head.len) else {
                self.frame = Some(head);
                return Ok(());
            };
            self.whole(&head, &payload, &mut to)?;
        }
    }

    /// So many bytes are not known. Whether it can be read on behind them.
    pub(super) fn gap(&mut self, missing: u32) -> bool {
        self.walk.gap(missing)
    }

    fn whole(&mut self, head: &Head, payload: &[u8], to: &mut impl FnMut(Seen<'_>)) -> Result<(), Senseless> {
        let is_last = head.has(flag::END_STREAM);
        let block = match head.kind {
            kind::DATA => {
                let bytes = head.without_padding(payload).ok_or(Senseless)?;
                to(Seen::Data { stream: head.stream, bytes, is_last });
                return Ok(());
            }
            kind::HEADERS => {
                let (_, fragment) = head.fragment(payload).ok_or(Senseless)?;
                Block { stream: head.stream, is_last, fragments: fragment.to_vec() }
            }
            _ => {
                let mut block = self.block.take().ok_or(Senseless)?;
                block.fragments.extend_from_slice(payload);
                block
            }
        };
        if block.fragments.len() > MOST_BLOCK {
            return Err(Senseless);
        }
        if !head.has(flag::END_HEADERS) {
            self.block = Some(block);
            return Ok(());
        }
        let mut fields = Fields::default();
        self.decoder.decode(&block.fragments, &mut fields, None).map_err(|_| Senseless)?;
        to(Seen::Fields { stream: block.stream, fields, is_last: block.is_last });
        Ok(())
    }
}
