//! Copies of what comes to a target, for previews that are only shown it.

use crate::DialKey;

/// Most bytes of one [`Copy`].
pub const CHUNK: usize = 4096;
/// Most copies of one packet: as long as segments are that the kernel puts together (64 KiB).
pub const CHUNKS: u32 = 17;
/// Most connections of which it is known that what comes next is of no use.
pub const MAX_UNWANTED: u32 = 4096;
/// Most bytes that are said to be of no use at a time: so few that sequence numbers do not come round meanwhile.
pub const MOST_UNWANTED: u32 = 1 << 30;
/// Of an answer so much is copied: `HTTP/1.1 200`.
pub const STATUS: u32 = 12;
/// In [`Copy::flags`]: the app sent it.
pub const ANSWER: u32 = 1 << 8;

/// What is copied of a port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// Of how many connections of a hundred.
    pub percent: u32,
    /// Of how many for now: of fewer while whoever reads does not keep up.
    pub now: u32,
    /// 1: payloads are copied whole; 0: of each packet the first [`CHUNK`] bytes, which is enough for requests without a
    /// body.
    pub whole: u32,
    /// Of how many connections of a hundred answers are copied whole, for now; of others their statuses are.
    pub answers: u32,
}

/// What was not copied of a port. Written by the programs alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uncopied {
    /// Requests, seen by their first bytes.
    pub lost: u64,
    /// Payloads for which there was no room.
    pub full: u64,
}

/// A payload, or part of one; a packet that begins or ends a connection. Of `data` only `len` bytes are sent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Copy {
    /// The connection: `remote` is the client.
    pub key: DialKey,
    /// TCP sequence number of the first byte.
    pub seq: u32,
    /// Bytes of payload.
    pub len: u32,
    /// Those of TCP in the lowest byte, and [`ANSWER`].
    pub flags: u32,
    /// Bytes of the packet behind these that are not copied.
    pub missing: u32,
    /// The payload.
    pub data: [u8; CHUNK],
}

impl Copy {
    /// Bytes before the payload.
    pub const HEADER: usize = size_of::<Self>() - CHUNK;
}

/// The place of a connection among a hundred: the same for all of its packets.
#[inline(always)]
#[must_use]
pub fn spread(key: &DialKey) -> u32 {
    let mut hash = key.remote_port << 16 | key.local_port;
    let mut i = 0;
    while i < 4 {
        hash = (hash ^ key.remote[i]).wrapping_mul(0x9e37_79b1);
        hash ^= hash >> 15;
        i += 1;
    }
    hash = hash.wrapping_mul(0x85eb_ca6b);
    (hash >> 8) % 100
}
