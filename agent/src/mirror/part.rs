//! What was copied of a packet.

pub(super) struct Part<'a> {
    /// Of the first byte.
    pub(super) seq: u32,
    pub(super) payload: &'a [u8],
    /// Bytes behind it that were not copied.
    pub(super) missing: u32,
}
