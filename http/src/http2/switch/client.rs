//! The way from the client: frames for home go on as they came, those of streams that are away leave it here.

use super::{Asked, Scratch, Step, Stream, Switch};
use crate::http2::{
    frame::{self, Head, Walker, flag, kind, setting, whole},
    hpack::Decoder,
};

/// Longest block that is waited for. A longer one goes home as it comes, and nothing is decided any more.
const MOST_BLOCK: usize = 512 * 1024;
/// Longest frame beside those of blocks and bodies that is looked at.
const MOST_FRAME: usize = 64 * 1024;
/// Settings of a client that are remembered.
const MOST_SETTINGS: usize = 32;
/// What home is told of a block that cannot be decoded, and that it would decode by another table: an index that is
/// never any (RFC 7541, 6.1).
const UNDECODABLE: &[u8] = &[0x80];

#[derive(Debug, Default)]
pub(super) struct Inlet {
    walker: Walker,
    reading: Reading,
    /// Of a frame that is not whole yet.
    held: Vec<u8>,
    block: Option<Block>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Reading {
    #[default]
    Head,
    /// So much goes on as it comes.
    Pass(usize),
    /// So much is for nobody.
    Drop(usize),
    /// A frame that is looked at when it is whole.
    Whole(Head),
    /// The length of the padding of a body.
    Padding(Head),
    /// Of the body of a stream that is away.
    Body { stream: u32, left: usize, padding: usize, ended: bool },
}

/// A block that is not whole yet.
#[derive(Debug)]
struct Block {
    stream: u32,
    ended: bool,
    priority: Vec<u8>,
    fragments: Vec<u8>,
    raw: Vec<u8>,
}

/// What the client has said of itself.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<(u16, u32)>);

impl Settings {
    pub(super) fn set(&mut self, id: u16, value: u32) {
        if let Some((_, old)) = self.0.iter_mut().find(|(known, _)| *known == id) {
            *old = value;
        } else if self.0.len() < MOST_SETTINGS {
            self.0.push((id, value));
        }
    }

    /// What it takes on a new stream.
    pub(super) fn window(&self) -> i64 {
        let window = self.0.iter().find(|(id, _)| *id == setting::INITIAL_WINDOW_SIZE);
        window.map_or(super::flow::USUAL, |(_, value)| i64::from(*value))
    }

    /// As a line has to be told.
    pub(super) fn for_line(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        frame::add_setting(&mut payload, setting::ENABLE_PUSH, 0);
        self.0.iter().for_each(|(id, value)| add_for_line(&mut payload, *id, *value));
        payload
    }
}

/// Pushing is home's, and how lines encode and cut is between them and the switch.
fn add_for_line(payload: &mut Vec<u8>, id: u16, value: u32) {
    if !matches!(id, setting::ENABLE_PUSH | setting::HEADER_TABLE_SIZE | setting::MAX_FRAME_SIZE) {
        frame::add_setting(payload, id, value);
    }
}

impl Inlet {
    /// Nothing that goes home as it comes is under way.
    pub(super) const fn is_between(&self) -> bool {
        !matches!(self.reading, Reading::Pass(_))
    }
}

impl Switch {
    /// Takes bytes of the client, up to the next request that is to be decided.
    pub fn client(&mut self, input: &mut &[u8], scratch: &mut Scratch) -> Step {
        loop {
            match self.from_client.reading {
                Reading::Head => {
                    let Some(head) = self.from_client.walker.head(input) else { break };
                    self.from_client.reading = self.client_head(&head);
                }
                Reading::Pass(0) | Reading::Drop(0) => self.from_client.reading = Reading::Head,
                Reading::Pass(left) => {
                    let Some(bytes) = some(input, left) else { break };
                    self.to_home.bytes.extend_from_slice(bytes);
                    self.from_client.reading = Reading::Pass(left - bytes.len());
                }
                Reading::Drop(left) => {
                    let Some(bytes) = some(input, left) else { break };
                    self.from_client.reading = Reading::Drop(left - bytes.len());
                }
                Reading::Whole(head) => {
                    let Some(payload) = whole(&mut self.from_client.held, input, head.len) else { break };
                    self.from_client.reading = Reading::Head;
                    self.settle_home();
                    if self.client_frame(&head, &payload, scratch) == Step::Asked {
                        return Step::Asked;
                    }
                }
                Reading::Padding(head) => {
                    let Some([padding]) = some(input, 1) else { break };
                    let (left, padding) = (head.len - 1, usize::from(*padding));
                    let padding = padding.min(left);
                    self.pays_for_padding(head.stream, padding + 1);
                    let ended = head.has(flag::END_STREAM);
                    let stream = head.stream;
                    self.from_client.reading = Reading::Body { stream, left: left - padding, padding, ended };
                }
                Reading::Body { stream, left: 0, padding, ended } => {
                    if ended {
                        self.ends_away(stream, None);
                    }
                    self.from_client.reading = Reading::Drop(padding);
                }
                Reading::Body { stream, left, padding, ended } => {
                    let Some(bytes) = some(input, left) else { break };
                    let left = left - bytes.len();
                    self.body_away(stream, bytes, left == 0);
                    self.from_client.reading = Reading::Body { stream, left, padding, ended };
                }
            }
        }
        self.settle();
        Step::Done
    }

    /// The client sends no more. What has come of a frame is home's, as it would be without the switch.
    pub fn client_ended(&mut self) {
        let Inlet { walker, reading, held, block } = std::mem::take(&mut self.from_client);
        if let Some(block) = block {
            self.to_home.bytes.extend_from_slice(&block.raw);
        }
        if let Reading::Whole(head) = reading {
            self.to_home.bytes.extend_from_slice(&head.raw);
            self.to_home.bytes.extend_from_slice(&held);
        }
        self.to_home.bytes.extend_from_slice(walker.begun());
    }

    fn client_head(&mut self, head: &Head) -> Reading {
        if let Some(block) = &self.from_client.block {
            let goes_on = head.kind == kind::CONTINUATION && head.stream == block.stream;
            if goes_on && block.raw.len() + head.len <= MOST_BLOCK {
                return Reading::Whole(*head);
            }
            self.give_up_block();
        }
        match head.kind {
            kind::DATA => self.client_data(head),
            kind::HEADERS if head.len > MOST_BLOCK => {
                self.decoder = None;
                if self.mirror.is_some() {
                    self.undecodable_home(head.stream, head.has(flag::END_STREAM));
                    return Reading::Drop(head.len);
                }
                self.pass_home(head)
            }
            kind::HEADERS => Reading::Whole(*head),
            kind::PRIORITY..=kind::WINDOW_UPDATE if head.len <= MOST_FRAME => Reading::Whole(*head),
            _ => self.pass_home(head),
        }
    }

    fn pass_home(&mut self, head: &Head) -> Reading {
        self.settle_home();
        self.to_home.bytes.extend_from_slice(&head.raw);
        Reading::Pass(head.len)
    }

    fn client_data(&mut self, head: &Head) -> Reading {
        match self.streams.get(&head.stream) {
            Some(Stream::Home(_)) if head.has(flag::END_STREAM) => {
                self.ends_at_home(head.stream, true);
                self.pass_home(head)
            }
            Some(Stream::Home(_)) => self.pass_home(head),
            Some(Stream::Away(_)) if head.has(flag::PADDED) && head.len > 0 => Reading::Padding(*head),
            Some(Stream::Away(_)) => {
                let ended = head.has(flag::END_STREAM);
                Reading::Body { stream: head.stream, left: head.len, padding: 0, ended }
            }
            Some(Stream::Gone) => {
                if head.has(flag::END_STREAM) {
                    self.streams.remove(&head.stream);
                }
                self.owed = self.owed.saturating_add(head.len as u32);
                Reading::Drop(head.len)
            }
            None if self.was_away(head.stream) => {
                self.owed = self.owed.saturating_add(head.len as u32);
                Reading::Drop(head.len)
            }
            None => self.pass_home(head),
        }
    }

    /// A stream that was away, is over, and that home would take for one to come.
    pub(super) fn was_away(&self, stream: u32) -> bool {
        stream > self.highest_home && stream <= self.highest && stream % 2 == 1
    }

    fn client_frame(&mut self, head: &Head, payload: &[u8], scratch: &mut Scratch) -> Step {
        let number = if payload.len() == 4 { frame::number(payload) } else { None };
        match (head.kind, number) {
            (kind::HEADERS | kind::CONTINUATION, _) => return self.client_fragment(head, payload, scratch),
            (kind::WINDOW_UPDATE, Some(room)) if head.stream == 0 && room > 0 => {
                self.client_takes(head, payload, room);
            }
            (kind::WINDOW_UPDATE, Some(room)) if self.takes_away(head.stream, room) => return Step::Done,
            (kind::RST_STREAM, Some(_)) if self.is_away(head.stream) => self.client_resets(head, payload),
            (kind::RST_STREAM, Some(_)) => {
                self.leaves_home(head.stream);
                self.raw_home(head, payload);
            }
            (kind::PRIORITY, _) if self.is_away(head.stream) => {}
            (kind::SETTINGS, _) if !head.has(flag::ACK) => {
                self.client_settings(payload);
                self.raw_home(head, payload);
            }
            (kind::PING, _) if head.has(flag::ACK) && self.drain.is_answered(payload) => self.drains_on(),
            _ => self.raw_home(head, payload),
        }
        Step::Done
    }

    fn raw_home(&mut self, head: &Head, payload: &[u8]) {
        self.to_home.bytes.extend_from_slice(&head.raw);
        self.to_home.bytes.extend_from_slice(payload);
    }

    fn is_away(&self, stream: u32) -> bool {
        match self.streams.get(&stream) {
            Some(Stream::Home(_)) => false,
            Some(Stream::Away(_) | Stream::Gone) => true,
            None => self.was_away(stream),
        }
    }

    /// A fragment of a block.
    fn client_fragment(&mut self, head: &Head, payload: &[u8], scratch: &mut Scratch) -> Step {
        let is_last = head.has(flag::END_HEADERS);
        if let Some(mut block) = self.from_client.block.take() {
            block.raw.extend_from_slice(&head.raw);
            block.raw.extend_from_slice(payload);
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
            self.raw_home(head, payload);
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
        let (priority, fragments, raw) =
            (priority.to_vec(), fragment.to_vec(), [&head.raw, payload].concat());
        self.from_client.block = Some(Block { stream, ended, priority, fragments, raw });
        Step::Done
    }

    /// A block that is whole.
    fn client_block(&mut self, stream: u32, ended: bool, scratch: &mut Scratch) -> Step {
        if !self.decode(scratch) {
            self.ends_at_home(stream, ended);
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
                if self.drain.refuses(stream) || self.home_has_ended {
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
        let decoded = decoder.decode(&scratch.block, &mut scratch.fields, mirror).is_ok();
        if !decoded {
            self.decoder = None;
        }
        decoded
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
    fn undecodable_home(&mut self, stream: u32, ended: bool) {
        frame::block(&mut self.to_home.bytes, stream, frame::end(ended), &[], UNDECODABLE);
    }

    /// A block that is too long, or that something else has come into.
    fn give_up_block(&mut self) {
        let Some(block) = self.from_client.block.take() else { return };
        self.decoder = None;
        if self.mirror.is_some() {
            self.undecodable_home(block.stream, block.ended);
        } else {
            self.to_home.bytes.extend_from_slice(&block.raw);
        }
    }

    fn client_settings(&mut self, payload: &[u8]) {
        let before = self.settings.window();
        let mut for_lines = Vec::new();
        for (id, value) in frame::settings(payload) {
            self.settings.set(id, value);
            add_for_line(&mut for_lines, id, value);
        }
        for line in self.lines.iter_mut().filter(|_| !for_lines.is_empty()) {
            frame::write(&mut line.out.bytes, kind::SETTINGS, 0, 0, &for_lines);
        }
        let change = self.settings.window() - before;
        if change != 0 && self.away > 0 {
            self.client_window_changes(change);
        }
    }
}

/// As much of the input as there is of `most` bytes; none if there is nothing.
pub(super) fn some<'a>(input: &mut &'a [u8], most: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    (!bytes.is_empty()).then_some(bytes)
}
