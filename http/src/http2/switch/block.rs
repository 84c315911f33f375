//! Field blocks of the client: put together, decoded, and sent home as home has to get them.
//!
//! One that is slow is not waited for without an end: home may have its own limit for a client that begins a block and
//! says no more. So home is shown what has come of it, and gets the rest as it comes; the stream is home's then.

use super::{
    Asked, Home, Scratch, Step, Stream, Switch,
    inlet::{Block, Reading, Slow},
};
use crate::http2::{
    frame::{self, Head, flag, kind},
    hpack::{Decoder, Undecodable},
};

/// Longest block that is waited for. A longer one goes home as it comes, and nothing is decided any more.
pub(super) const MOST_BLOCK: usize = 512 * 1024;
/// What home is told of a block that cannot be decoded, and that it would decode by another table: an index that is
/// never any (RFC 7541, 6.1).
const UNDECODABLE: &[u8] = &[0x80];

impl Switch {
    /// A fragment of a block.
    pub(super) fn client_fragment(&mut self, head: &Head, payload: &[u8], scratch: &mut Scratch) -> Step {
        let is_last = head.has(flag::END_HEADERS);
        let is_slow = self.from_client.slow.is_some();
        if let Some(mut block) = self.from_client.block.take() {
            if !is_slow {
                block.raw.extend_from_slice(&head.raw);
                block.raw.extend_from_slice(payload);
            }
            block.fragments.extend_from_slice(payload);
            if !is_last {
                self.from_client.block = Some(block);
                return Step::Done;
            }
            let Block { stream, ended, priority, fragments, raw } = block;
            (scratch.raw, scratch.priority, scratch.block) = (raw, priority, fragments);
            return self.client_block(stream, ended, scratch);
        }
        let (stream, ended) = (head.stream, head.has(flag::END_STREAM));
        let fragment = head.fragment(payload).filter(|_| head.kind == kind::HEADERS && stream != 0);
        let Some((priority, fragment)) = fragment else {
            // Nothing that follows makes sense, and home is who says so.
            self.decoder = None;
            if is_slow {
                self.ends_slow_block(stream, UNDECODABLE);
            } else {
                self.raw_home(head, payload);
            }
            return Step::Done;
        };
        if is_last {
            scratch.raw.clear();
            scratch.raw.extend_from_slice(&head.raw);
            scratch.raw.extend_from_slice(payload);
            scratch.priority.clear();
            scratch.priority.extend_from_slice(priority);
            scratch.block.clear();
            scratch.block.extend_from_slice(fragment);
            return self.client_block(stream, ended, scratch);
        }
        let raw = if is_slow { Vec::new() } else { [&head.raw, payload].concat() };
        let (priority, fragments) = (priority.to_vec(), fragment.to_vec());
        self.from_client.block = Some(Block { stream, ended, priority, fragments, raw });
        Step::Done
    }

    /// A block that is whole.
    fn client_block(&mut self, stream: u32, ended: bool, scratch: &mut Scratch) -> Step {
        if self.from_client.slow.is_some() {
            return self.slow_block(stream, ended, scratch);
        }
        if !self.decode(scratch) {
            if ended {
                self.ends_at_home(stream, true);
            }
            if self.mirror.is_some() {
                self.undecodable_home(stream, ended);
            } else {
                self.to_home.bytes.extend_from_slice(&scratch.raw);
            }
            return Step::Done;
        }
        match self.streams.get(&stream) {
            Some(Stream::Away(_)) => {
                self.not_home();
                if ended {
                    self.ends_away(stream, Some(&scratch.fields));
                }
            }
            Some(Stream::Gone) => {
                self.not_home();
                if ended {
                    self.streams.remove(&stream);
                }
            }
            Some(Stream::Home(_)) => {
                if ended {
                    self.ends_at_home(stream, true);
                }
                self.block_home(scratch);
            }
            None if stream > self.highest && stream % 2 == 1 => {
                self.highest = stream;
                if self.refuses(stream) {
                    self.not_home();
                    frame::reset(&mut self.soon_client, stream, frame::code::REFUSED_STREAM);
                    self.is_gone(stream, ended);
                    return Step::Done;
                }
                self.asked = Asked { stream, ended };
                return Step::Asked;
            }
            None if self.was_away(stream) => self.not_home(),
            None => self.block_home(scratch),
        }
        Step::Done
    }

    fn decode(&mut self, scratch: &mut Scratch) -> bool {
        let Some(decoder) = &mut self.decoder else { return false };
        scratch.anew.clear();
        let mirror = self.mirror.as_mut().map(|mirror| {
            mirror.begin();
            (mirror, &mut scratch.anew)
        });
        let decoded = decoder.decode(&scratch.block, &mut scratch.fields, mirror);
        if let Err(error) = decoded {
            self.decoder = None;
            // Home may be content with it.
            self.is_blind |= error == Undecodable::Table;
        }
        decoded.is_ok()
    }

    /// The block that was decoded last goes home. What of its first head means nothing goes on, too.
    pub(super) fn block_home(&mut self, scratch: &Scratch) {
        let to = &mut self.to_home.bytes;
        match scratch.raw.first_chunk() {
            Some([_, _, _, _, flags, a, b, c, d]) if self.mirror.is_some() => {
                let stream = u32::from_be_bytes([*a, *b, *c, *d]);
                frame::block(to, stream, *flags, &scratch.priority, &scratch.anew);
            }
            _ => to.extend_from_slice(&scratch.raw),
        }
    }

    /// The block that was decoded last does not go home.
    pub(super) fn not_home(&mut self) {
        match &mut self.mirror {
            Some(mirror) => mirror.undo(),
            none => *none = self.decoder.as_ref().map(Decoder::mirror),
        }
    }

    /// Nothing can be decoded any more, and home is to find out by itself.
    pub(super) fn undecodable_home(&mut self, stream: u32, ended: bool) {
        frame::block(&mut self.to_home.bytes, stream, frame::end(ended), &[], UNDECODABLE);
    }

    /// The stream of a block that has begun, and of which home knows nothing yet.
    #[must_use]
    pub fn held_block(&self) -> Option<u32> {
        self.held().map(|(stream, _)| stream)
    }

    /// That block, and whether it ends what the client says.
    fn held(&self) -> Option<(u32, bool)> {
        let inlet = &self.from_client;
        match (&inlet.block, inlet.reading) {
            _ if inlet.slow.is_some() => None,
            (Some(block), _) => Some((block.stream, block.ended)),
            (None, Reading::Whole(head)) if head.kind == kind::HEADERS && head.stream != 0 => {
                Some((head.stream, head.has(flag::END_STREAM)))
            }
            _ => None,
        }
    }

    /// That block is slow: home is shown what there is of it.
    pub fn block_is_slow(&mut self) {
        let Some((stream, ended)) = self.held() else { return };
        let is_request = match self.streams.get(&stream) {
            Some(Stream::Home(_)) => false,
            Some(_) => return,
            None if stream > self.highest && stream % 2 == 1 => {
                if self.refuses(stream) {
                    return;
                }
                (self.highest, self.highest_home) = (stream, stream);
                self.at_home += 1;
                self.streams.insert(stream, Stream::Home(Home::default()));
                true
            }
            None if self.was_away(stream) => return,
            None => false,
        };
        self.settle_home();
        let is_raw = self.mirror.is_none();
        let inlet = &mut self.from_client;
        inlet.slow = Some(Slow { is_raw, is_request });
        let to = &mut self.to_home.bytes;
        let raw = inlet.block.as_mut().map(|block| std::mem::take(&mut block.raw)).unwrap_or_default();
        if !is_raw {
            return frame::head(to, 0, kind::HEADERS, frame::end(ended), stream);
        }
        to.extend_from_slice(&raw);
        if let Reading::Whole(head) = inlet.reading {
            to.extend_from_slice(&head.raw);
            to.extend_from_slice(&inlet.held);
        }
    }

    /// Bytes of a frame. If they are of a block that home gets as it comes, they go on.
    pub(super) fn passes_slowly(&mut self, bytes: &[u8]) {
        if self.from_client.slow.is_some_and(|slow| slow.is_raw) {
            self.to_home.bytes.extend_from_slice(bytes);
        }
    }

    /// A block that was slow is whole.
    fn slow_block(&mut self, stream: u32, ended: bool, scratch: &mut Scratch) -> Step {
        let is_request = self.from_client.slow.is_some_and(|slow| slow.is_request);
        let is_decoded = self.decode(scratch);
        self.ends_slow_block(stream, if is_decoded { &scratch.anew } else { UNDECODABLE });
        if ended {
            self.ends_at_home(stream, true);
        }
        if is_decoded && is_request { Step::Late } else { Step::Done }
    }

    /// Home gets the rest of a block that it does not get as it comes.
    fn ends_slow_block(&mut self, stream: u32, anew: &[u8]) {
        if self.from_client.slow.take().is_some_and(|slow| !slow.is_raw) {
            frame::continuation(&mut self.to_home.bytes, stream, anew);
        }
    }

    /// A block that is too long, or that something else has come into.
    pub(super) fn give_up_block(&mut self) {
        let Some(block) = self.from_client.block.take() else { return };
        self.decoder = None;
        if self.from_client.slow.is_some() {
            self.ends_slow_block(block.stream, UNDECODABLE);
        } else if self.mirror.is_some() {
            self.undecodable_home(block.stream, block.ended);
        } else {
            self.to_home.bytes.extend_from_slice(&block.raw);
        }
    }

    /// Whether a new stream is for nobody.
    const fn refuses(&self, stream: u32) -> bool {
        self.drain.refuses(stream) || self.home_has_ended
    }
}
