//! The statuses that a server of HTTP/2 answers with, stream by stream, from its first frame on.

use super::{
    Piece,
    frames::{Frames, Seen},
};
use crate::http2::frame::{HEAD, Head, kind};

/// Reads what a server sends.
#[derive(Debug, Default)]
pub struct Answers(Frames);

impl Answers {
    /// Whether a server begins so: with SETTINGS (RFC 9113, 3.4).
    #[must_use]
    pub fn begin_with(bytes: &[u8]) -> bool {
        let head = bytes.first_chunk::<HEAD>().map(|head| Head::of(*head));
        head.is_some_and(|it| {
            it.kind == kind::SETTINGS && it.stream == 0 && it.flags == 0 && it.len.is_multiple_of(6)
        })
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held()
    }

    /// Takes what comes next, and hands on streams with their statuses, those of interim answers not. Whether more can
    /// be read.
    pub fn next(&mut self, piece: Piece<'_>, mut found: impl FnMut(u32, u16)) -> bool {
        let bytes = match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::Missing(missing) => return self.0.gap(missing),
        };
        let see = |seen: Seen<'_>| {
            let Seen::Fields { stream, fields, .. } = seen else { return };
            let status = fields.get(b":status").and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
            if let Some(status @ 200..) = status {
                found(stream, status);
            }
        };
        self.0.take(bytes, see).is_ok()
    }
}
