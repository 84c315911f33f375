//! Header compression (RFC 7541), as far as a switch needs it: blocks are decoded to decide, and encoded anew without
//! judging what is in them.
//!
//! Libraries were looked at first. None tells bytes as they are together with how they were meant (never indexed),
//! none can go on from a table that somebody else has, and those that come closest take time that grows with the
//! square of a block's length. So this is small and our own, and tests hold it against two that others wrote.

mod decoder;
mod encode;
mod huffman;
mod mirror;
mod statics;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use decoder::{Decoder, Undecodable};
pub(crate) use encode::{encode, literal};
pub(crate) use mirror::Mirror;

/// How a field was represented (RFC 7541, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Literal, and put into the table.
    Kept,
    /// Literal, and not put into the table.
    Plain,
    /// Literal, and never to be put into a table by anybody.
    Never,
}

impl Form {
    /// The bits before the index of the name, and how many bits are left for that.
    const fn prefix(self) -> (u8, u32) {
        match self {
            Self::Kept => (0x40, 6),
            Self::Plain => (0, 4),
            Self::Never => (0x10, 4),
        }
    }
}
