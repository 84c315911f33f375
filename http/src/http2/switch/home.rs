//! The way from home: all of it goes on to the client as it came. Bodies wait where others have used up the client's
//! room, a GOAWAY names no stream that somebody else has, and heads are marked where a preview is at home.

use std::collections::VecDeque;

use super::{Input, Stream, Switch};
use crate::http2::{
    fields::Fields,
    frame::{self, Head, Walker, code, flag, kind, setting, whole},
    hpack::Decoder,
};

/// Longest frame that is looked at.
const MOST_FRAME: usize = 64 * 1024;
/// Longest block that is marked.
const MOST_BLOCK: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(super) struct Inlet {
    walker: Walker,
    reading: Reading,
    /// Of a frame that is not whole yet.
    held: Vec<u8>,
    /// Of a block some has gone on, and the rest must follow.
    in_block: bool,
    /// Its first frame has to come before anything else.
    speaks_first: bool,
    /// Reads blocks that may have to be marked.
    decoder: Option<Decoder>,
    /// A block that is to be marked, and is not whole yet.
    block: Option<Block>,
    /// What waits for room in the client's window, in order.
    queue: VecDeque<Queued>,
    queued: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Reading {
    #[default]
    Head,
    /// So much goes on as it comes.
    Pass(usize),
    /// A frame that is looked at when it is whole.
    Whole(Head),
}

#[derive(Debug)]
struct Block {
    stream: u32,
    ended: bool,
    fragments: Vec<u8>,
    raw: Vec<u8>,
}

/// Whether it is of a block.
const fn is_block(head: &Head) -> bool {
    matches!(head.kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION)
}

/// A frame, or a block, that waits.
#[derive(Debug)]
struct Queued {
    head: Head,
    /// With its head.
    bytes: Vec<u8>,
}

impl Inlet {
    pub(super) fn new(marks: bool) -> Self {
        Self { decoder: marks.then(Decoder::default), ..Self::default() }
    }

    pub(super) fn that_speaks_first(marks: bool) -> Self {
        Self { speaks_first: true, ..Self::new(marks) }
    }

    /// Nothing that goes on as it comes is under way.
    pub(super) const fn is_between(&self) -> bool {
        !matches!(self.reading, Reading::Pass(_))
    }

    /// Others may write to the client now.
    pub(super) const fn lets_others(&self) -> bool {
        self.is_between() && !self.in_block && !self.speaks_first
    }

    /// Bytes that wait.
    pub(super) const fn held(&self) -> usize {
        self.queued
    }

    /// Whether a frame has to wait for those before it: of its stream, or of the blocks, whose order counts.
    fn waits(&self, head: &Head) -> bool {
        self.queue.iter().any(|it| it.head.stream == head.stream || is_block(head) && is_block(&it.head))
    }

    fn push(&mut self, head: Head, payload: &[u8]) {
        let bytes = [&head.raw, payload].concat();
        self.queued += bytes.len();
        self.queue.push_back(Queued { head, bytes });
    }
}

impl Switch {
    /// Takes bytes of home.
    pub fn home(&mut self, input: &mut Input<'_>) {
        loop {
            match self.from_home.reading {
                Reading::Head => {
                    let Some(head) = self.from_home.walker.head(&mut input.rest) else { break };
                    self.from_home.reading = self.home_head(&head);
                    self.from_home.speaks_first &= matches!(self.from_home.reading, Reading::Whole(_));
                }
                Reading::Pass(0) => self.from_home.reading = Reading::Head,
                Reading::Pass(left) => {
                    let Some(passed) = self.to_client.pass(input, left) else { break };
                    self.from_home.reading = Reading::Pass(left - passed);
                }
                Reading::Whole(head) => {
                    let Some(payload) = whole(&mut self.from_home.held, &mut input.rest, head.len) else {
                        break;
                    };
                    self.from_home.reading = Reading::Head;
                    self.from_home.speaks_first = false;
                    self.home_frame(&head, &payload);
                }
            }
        }
        self.settle();
    }

    /// What has come of a frame that is not whole, and never will be.
    pub(super) fn rest_of_home(&mut self) {
        let mut rest = std::mem::take(&mut self.from_home);
        rest.queue.drain(..).for_each(|it| self.to_client.bytes.extend_from_slice(&it.bytes));
        if let Some(block) = rest.block {
            self.to_client.bytes.extend_from_slice(&block.raw);
        }
        if let Reading::Whole(head) = rest.reading {
            self.to_client.bytes.extend_from_slice(&head.raw);
            self.to_client.bytes.extend_from_slice(&rest.held);
        }
        self.to_client.bytes.extend_from_slice(rest.walker.begun());
    }

    fn home_head(&mut self, head: &Head) -> Reading {
        let is_whole = head.len <= MOST_FRAME;
        self.others_spoke &= !matches!(head.kind, kind::DATA | kind::HEADERS);
        match head.kind {
            kind::DATA => {
                let fits = self.share.home_sends(head.len);
                let waits = self.mirror.is_some() && (!fits || self.from_home.waits(head));
                if waits {
                    return Reading::Whole(*head);
                }
                self.share.home_goes_on(head.len);
                if head.has(flag::END_STREAM) {
                    self.ends_at_home(head.stream, false);
                }
                self.pass_client(head)
            }
            kind::HEADERS | kind::CONTINUATION if is_whole && self.from_home.decoder.is_some() => {
                Reading::Whole(*head)
            }
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => {
                if self.from_home.waits(head) {
                    return Reading::Whole(*head);
                }
                self.from_home.decoder = None;
                if head.kind == kind::HEADERS && head.has(flag::END_STREAM) {
                    self.ends_at_home(head.stream, false);
                }
                self.from_home.in_block = !head.has(flag::END_HEADERS);
                self.pass_client(head)
            }
            kind::PRIORITY..=kind::WINDOW_UPDATE if is_whole => Reading::Whole(*head),
            _ => self.pass_client(head),
        }
    }

    fn pass_client(&mut self, head: &Head) -> Reading {
        self.to_client.bytes.extend_from_slice(&head.raw);
        Reading::Pass(head.len)
    }

    fn home_frame(&mut self, head: &Head, payload: &[u8]) {
        match head.kind {
            kind::DATA => {
                if head.has(flag::END_STREAM) {
                    self.ends_at_home(head.stream, false);
                }
                return self.body_waits(head, payload);
            }
            kind::HEADERS | kind::CONTINUATION if self.from_home.decoder.is_some() => {
                return self.home_fragment(head, payload);
            }
            kind::HEADERS if head.has(flag::END_STREAM) => self.ends_at_home(head.stream, false),
            kind::RST_STREAM => self.leaves_home(head.stream),
            kind::SETTINGS if !head.has(flag::ACK) => self.home_settings(payload),
            kind::GOAWAY if payload.len() >= 8 => return self.home_goes_away(head, payload),
            _ => {}
        }
        if head.stream != 0 && self.from_home.waits(head) {
            return self.from_home.push(*head, payload);
        }
        self.raw_client(head, payload);
    }

    /// It waits without its padding, since with it it could not be cut where the client never has room for all of it. For the
    /// padding the client gives nothing back, so that is done here.
    fn body_waits(&mut self, head: &Head, payload: &[u8]) {
        let Some(bytes) = head.without_padding(payload).filter(|_| head.has(flag::PADDED)) else {
            return self.from_home.push(*head, payload);
        };
        let padding = (payload.len() - bytes.len()) as u32;
        frame::window_update(&mut self.soon_home, 0, padding);
        if !head.has(flag::END_STREAM) {
            frame::window_update(&mut self.soon_home, head.stream, padding);
        }
        self.share.home_takes_back(padding);
        let mut raw = Vec::with_capacity(frame::HEAD);
        frame::head(&mut raw, bytes.len(), kind::DATA, head.flags & !flag::PADDED, head.stream);
        if let Some(raw) = raw.first_chunk() {
            self.from_home.push(Head::of(*raw), bytes);
        }
    }

    fn raw_client(&mut self, head: &Head, payload: &[u8]) {
        self.to_client.bytes.extend_from_slice(&head.raw);
        self.to_client.bytes.extend_from_slice(payload);
    }

    /// A fragment of a block that may have to be marked.
    fn home_fragment(&mut self, head: &Head, payload: &[u8]) {
        let block = match (self.from_home.block.take(), head.kind) {
            (None, kind::HEADERS) => head.fragment(payload).map(|(_, fragment)| {
                let ended = head.has(flag::END_STREAM);
                Block { stream: head.stream, ended, fragments: fragment.to_vec(), raw: Vec::new() }
            }),
            (Some(mut block), kind::CONTINUATION) if block.fragments.len() + payload.len() <= MOST_BLOCK => {
                block.fragments.extend_from_slice(payload);
                Some(block)
            }
            (Some(block), _) => {
                self.to_client.bytes.extend_from_slice(&block.raw);
                None
            }
            (None, _) => None,
        };
        let Some(mut block) = block else {
            // What follows cannot be decoded, or should not be there: it is for the client to judge.
            self.from_home.decoder = None;
            self.from_home.in_block = !head.has(flag::END_HEADERS);
            return self.raw_client(head, payload);
        };
        block.raw.extend_from_slice(&head.raw);
        block.raw.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            self.home_block(block);
        } else {
            self.from_home.block = Some(block);
        }
    }

    fn home_block(&mut self, mut block: Block) {
        let mut fields = Fields::default();
        if let Some(decoder) = &mut self.from_home.decoder
            && decoder.decode(&block.fragments, &mut fields, None).is_err()
        {
            self.from_home.decoder = None;
        }
        let is_final = fields.get(b":status").is_some_and(|status| !status.starts_with(b"1"));
        if is_final
            && let Some(Stream::Home(home)) = self.streams.get_mut(&block.stream)
            && let Some(mark) = home.mark.take()
        {
            block.raw.clear();
            block.fragments.extend_from_slice(&mark);
            frame::block(&mut block.raw, block.stream, frame::end(block.ended), &[], &block.fragments);
        }
        if block.ended {
            self.ends_at_home(block.stream, false);
        }
        let Some((head, rest)) = block.raw.split_first_chunk() else { return };
        let head = Head::of(*head);
        if self.from_home.waits(&head) {
            let whole = Head { flags: head.flags | flag::END_HEADERS, ..head };
            self.from_home.push(whole, rest);
        } else {
            self.to_client.bytes.extend_from_slice(&block.raw);
        }
    }

    fn home_settings(&mut self, payload: &[u8]) {
        for (id, value) in frame::settings(payload) {
            if id == setting::INITIAL_WINDOW_SIZE {
                let change = i64::from(value) - i64::from(self.home_window);
                self.home_window = value;
                self.home_window_changes(change);
            }
        }
    }

    /// Home disowns only what is its own: of streams above its last one, those at home are refused.
    fn home_goes_away(&mut self, head: &Head, payload: &[u8]) {
        let last = frame::number(payload).unwrap_or(0);
        let is_away = |stream: &Stream| matches!(stream, Stream::Away(_));
        let away = self.streams.iter().filter(|(_, it)| is_away(it)).map(|(id, _)| *id).max().unwrap_or(0);
        let most = self.drain.most().unwrap_or(u32::MAX);
        let named = last.max(away).min(most);
        self.last = Some(named);
        if named == last {
            return self.raw_client(head, payload);
        }
        self.to_client.bytes.extend_from_slice(&head.raw);
        self.to_client.bytes.extend_from_slice(&named.to_be_bytes());
        self.to_client.bytes.extend_from_slice(&payload[4..]);
        let disowned =
            |(id, it): (&u32, &Stream)| (*id > last && matches!(it, Stream::Home(_))).then_some(*id);
        let mut disowned: Vec<u32> = self.streams.iter().filter_map(disowned).collect();
        disowned.sort_unstable();
        for stream in disowned {
            self.leaves_home(stream);
            frame::reset(&mut self.to_client.bytes, stream, code::REFUSED_STREAM);
        }
    }

    /// Lets go on what the client has room for; whether anything did.
    pub(super) fn settle_queue(&mut self) -> bool {
        let Some(first) = self.from_home.queue.front_mut() else { return false };
        let is_data = first.head.kind == kind::DATA;
        let room = if is_data { self.share.for_home() } else { usize::MAX };
        let len = first.bytes.len() - frame::HEAD;
        if len <= room {
            if is_data {
                self.share.home_goes_on(len);
            }
            self.to_client.bytes.extend_from_slice(&first.bytes);
            self.from_home.queued -= first.bytes.len();
            if is_block(&first.head) {
                self.from_home.in_block = !first.head.has(flag::END_HEADERS);
            }
            self.from_home.queue.pop_front();
            return true;
        }
        // One whose padding makes no sense is the client's to judge, and can only wait.
        if room == 0 || first.head.has(flag::PADDED) {
            return false;
        }
        let (now, rest) = first.bytes[frame::HEAD..].split_at(room);
        let flags = first.head.flags & !flag::END_STREAM;
        frame::write(&mut self.to_client.bytes, kind::DATA, flags, first.head.stream, now);
        let mut bytes = Vec::with_capacity(frame::HEAD + rest.len());
        frame::write(&mut bytes, kind::DATA, first.head.flags, first.head.stream, rest);
        self.from_home.queued -= first.bytes.len() - bytes.len();
        first.bytes = bytes;
        self.share.home_goes_on(room);
        true
    }
}
