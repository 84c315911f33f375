//! Frames (RFC 9113, 4.1), found in bytes however those are cut.

use std::borrow::Cow;

/// Length of the head of a frame.
pub(crate) const HEAD: usize = 9;
/// Longest payload that anybody takes who has not said otherwise (RFC 9113, 4.2).
pub(crate) const MOST: usize = 16_384;

pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// RFC 9113, 7.
pub(crate) mod code {
    pub(crate) const NO_ERROR: u32 = 0;
    pub(crate) const INTERNAL_ERROR: u32 = 2;
    pub(crate) const REFUSED_STREAM: u32 = 7;
}

/// RFC 9113, 6.5.2, and RFC 8441, 3.
pub(crate) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
    pub(crate) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) len: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    /// As it came: one bit of it means nothing, and goes on all the same.
    pub(crate) raw: [u8; HEAD],
}

impl Head {
    pub(crate) fn of(raw: [u8; HEAD]) -> Self {
        let number = |bytes: [u8; 4]| u32::from_be_bytes(bytes);
        Self {
            len: number([0, raw[0], raw[1], raw[2]]) as usize,
            kind: raw[3],
            flags: raw[4],
            stream: number([raw[5] & 0x7f, raw[6], raw[7], raw[8]]),
            raw,
        }
    }

    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload without its padding; none where that is longer than all of it (RFC 9113, 6.1).
    pub(crate) fn without_padding<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        if !self.has(flag::PADDED) {
            return Some(payload);
        }
        let (padding, rest) = payload.split_first()?;
        rest.get(..rest.len().checked_sub(usize::from(*padding))?)
    }

    /// Of HEADERS: the fragment of the field block, and what stands before it of priorities.
    pub(crate) fn fragment<'a>(&self, payload: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let payload = self.without_padding(payload)?;
        payload.split_at_checked(if self.has(flag::PRIORITY) { 5 } else { 0 })
    }
}

/// Finds the heads of frames.
#[derive(Debug, Default)]
pub(crate) struct Walker {
    head: [u8; HEAD],
    have: usize,
}

impl Walker {
    /// The next head, as soon as it is whole.
    pub(crate) fn head(&mut self, input: &mut &[u8]) -> Option<Head> {
        if self.have == 0
            && let Some((head, rest)) = input.split_first_chunk::<HEAD>()
        {
            *input = rest;
            return Some(Head::of(*head));
        }
        let (now, rest) = input.split_at((HEAD - self.have).min(input.len()));
        self.head[self.have..][..now.len()].copy_from_slice(now);
        self.have += now.len();
        *input = rest;
        if self.have < HEAD {
            return None;
        }
        self.have = 0;
        Some(Head::of(self.head))
    }

    /// What has come of a head.
    pub(crate) fn begun(&self) -> &[u8] {
        &self.head[..self.have]
    }
}

/// The payload of a frame, as soon as it is whole; what came of it before is in `held`.
pub(crate) fn whole<'a>(held: &mut Vec<u8>, input: &mut &'a [u8], len: usize) -> Option<Cow<'a, [u8]>> {
    if held.is_empty()
        && let Some((payload, rest)) = input.split_at_checked(len)
    {
        *input = rest;
        return Some(Cow::Borrowed(payload));
    }
    let (now, rest) = input.split_at((len - held.len()).min(input.len()));
    held.extend_from_slice(now);
    *input = rest;
    (held.len() == len).then(|| Cow::Owned(std::mem::take(held)))
}

/// Writes a frame.
pub(crate) fn write(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    head(to, payload.len(), kind, flags, stream);
    to.extend_from_slice(payload);
}

/// Writes the head of a frame.
pub(crate) fn head(to: &mut Vec<u8>, len: usize, kind: u8, flags: u8, stream: u32) {
    to.extend_from_slice(&(len as u32).to_be_bytes()[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
}

/// Writes a field block, in as many frames as it takes, which have no padding. `priority` stands before it.
pub(crate) fn block(to: &mut Vec<u8>, stream: u32, flags: u8, priority: &[u8], block: &[u8]) {
    let flags = flags & !(flag::PADDED | flag::PRIORITY | flag::END_HEADERS);
    let flags = flags | if priority.is_empty() { 0 } else { flag::PRIORITY };
    let (first, rest) = block.split_at(block.len().min(MOST - priority.len()));
    let last = if rest.is_empty() { flag::END_HEADERS } else { 0 };
    head(to, priority.len() + first.len(), kind::HEADERS, flags | last, stream);
    to.extend_from_slice(priority);
    to.extend_from_slice(first);
    if !rest.is_empty() {
        continuation(to, stream, rest);
    }
}

/// Writes the rest of a field block whose first frame has gone out.
pub(crate) fn continuation(to: &mut Vec<u8>, stream: u32, mut rest: &[u8]) {
    loop {
        let (next, behind) = rest.split_at(rest.len().min(MOST));
        rest = behind;
        let last = if rest.is_empty() { flag::END_HEADERS } else { 0 };
        write(to, kind::CONTINUATION, last, stream, next);
        if rest.is_empty() {
            return;
        }
    }
}

/// Of the last frame, or not.
pub(crate) const fn end(is_last: bool) -> u8 {
    if is_last { flag::END_STREAM } else { 0 }
}

pub(crate) fn reset(to: &mut Vec<u8>, stream: u32, code: u32) {
    write(to, kind::RST_STREAM, 0, stream, &code.to_be_bytes());
}

/// `room` is not 0.
pub(crate) fn window_update(to: &mut Vec<u8>, stream: u32, room: u32) {
    write(to, kind::WINDOW_UPDATE, 0, stream, &room.to_be_bytes());
}

pub(crate) fn goaway(to: &mut Vec<u8>, last: u32, code: u32) {
    write(to, kind::GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat());
}

/// A number of 31 bits, as of a WINDOW_UPDATE.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) & 0x7fff_ffff)
}

/// The settings in a payload.
pub(crate) fn settings(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    payload.chunks_exact(6).map(|setting| {
        let id = u16::from_be_bytes([setting[0], setting[1]]);
        (id, u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]))
    })
}

/// Writes a setting behind others.
pub(crate) fn add_setting(to: &mut Vec<u8>, id: u16, value: u32) {
    to.extend_from_slice(&id.to_be_bytes());
    to.extend_from_slice(&value.to_be_bytes());
}

/// Length of the frames that `bytes` begin with and that ask for nothing: what a server may be sent to make it speak.
#[must_use]
pub fn before_requests(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        let before = bytes.len() - rest.len();
        match Walker::default().head(&mut rest) {
            Some(head) if head.kind > kind::PRIORITY && rest.len() >= head.len => rest = &rest[head.len..],
            _ => return before,
        }
    }
}
