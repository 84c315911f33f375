//! What the programs look for in heads.

/// What a head is scanned for: one for all targets of the node, so what it lets through for one may be held up for
/// another, never the other way round.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Filter {
    /// Bit n: there is a key of n bytes.
    pub lengths: u64,
    /// Bits of [`look`] for all headers.
    pub all: u64,
    /// Bits of [`look`] by [`name_hash`] of the first four letters of a header's name.
    pub names: [u8; 256],
    /// 1: the byte can be part of a key.
    pub token: [u8; 256],
    /// Bit n: there is a key with these bits in its hash, see [`bloom_bit`].
    pub bloom: [u8; 8192],
}

/// Bits of [`Filter::names`]: what to look for in a header.
pub mod look {
    /// It may be one that says how long the body is.
    pub const FRAMING: u8 = 1;
    /// Keys.
    pub const KEYS: u8 = 2;
    /// Keys, if the letters `by` occur.
    pub const MEMBERS: u8 = 4;
}

/// Which entry of [`Filter::names`] the first four letters of a header's name (in any case) have.
#[must_use]
pub const fn name_hash(first_four: u32) -> u32 {
    (first_four | 0x2020_2020).wrapping_mul(0x9e37_79b1) >> 24
}

/// One more byte of a token.
#[must_use]
pub const fn hash_byte(hash: u64, byte: u8) -> u64 {
    let hash = (hash ^ byte as u64).wrapping_mul(MULTIPLIER);
    hash ^ hash >> 29
}

/// What the tokens of one namespace are mixed with.
#[must_use]
pub const fn salt(ns: u64) -> u64 {
    let salt = (ns ^ 0x5bd1_e995).wrapping_mul(MULTIPLIER);
    salt ^ salt >> 31
}

/// Of a whole key, for one namespace.
#[must_use]
pub fn hash(key: &[u8], ns: u64) -> u64 {
    key.iter().fold(0, |hash, byte| hash_byte(hash, *byte)) ^ salt(ns)
}

/// The bit of [`Filter::bloom`] of a hash.
#[must_use]
pub const fn bloom_bit(hash: u64) -> u32 {
    (hash >> 40) as u32 & 0xffff
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

const _: () = assert!(size_of::<Filter>() == 8720);
