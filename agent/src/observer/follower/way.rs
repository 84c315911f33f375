//! One way of a connection: from packets, which may come twice or not at all, to the bytes that are new.

/// A copied packet: its sequence number, its length, and its first bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) seq: u32,
    pub(crate) len: u32,
    pub(crate) copied: &'a [u8],
}

/// What is new in a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Bytes before these have not been seen.
    pub(super) is_behind_gap: bool,
    pub(super) bytes: &'a [u8],
    /// Bytes behind these that were not copied.
    pub(super) missing: u64,
}

#[derive(Default)]
pub(super) struct Way {
    /// The sequence number after what has been seen.
    next: Option<u32>,
    seen: u64,
}

impl Way {
    /// What is new; nothing in what was sent again.
    pub(super) fn next<'a>(&mut self, Packet { seq, len, copied }: Packet<'a>) -> Option<Piece<'a>> {
        let next = *self.next.get_or_insert(seq);
        let ahead = seq.wrapping_sub(next).cast_signed();
        let known = if ahead < 0 { ahead.unsigned_abs() } else { 0 };
        if known >= len {
            return None;
        }
        let gap = ahead.max(0).unsigned_abs();
        let bytes = copied.get(known as usize..).unwrap_or_default();
        let len = len - known;
        self.next = Some(next.wrapping_add(gap).wrapping_add(len));
        self.seen += u64::from(gap) + u64::from(len);
        let missing = u64::from(len).saturating_sub(bytes.len() as u64);
        Some(Piece { is_behind_gap: gap > 0, bytes, missing })
    }

    /// Bytes from the first packet to the last one.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }
}
