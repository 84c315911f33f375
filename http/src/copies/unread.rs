//! Connections of HTTP/2 whose headers cannot be read, since not all that came before is known (RFC 7541, 2.3.2): that there
//! were requests is counted all the same, by the frames that begin them.

use super::{Found, frames::Walk};
use crate::http2::frame::{HEAD, Head, MOST, flag, kind};

#[derive(Debug, Default)]
pub(super) struct Unread {
    /// `None`: where a frame begins is not known; it will be where a payload begins as one does.
    walk: Option<Walk>,
    /// The latest stream that a request began.
    latest: u32,
}

impl Unread {
    pub(super) fn take(&mut self, mut bytes: &[u8], found: &mut impl FnMut(Found)) {
        let is_here = || begins_a_request(bytes).then(Walk::default);
        let Some(mut walk) = self.walk.take().or_else(is_here) else { return };
        while let Some(head) = walk.head(&mut bytes) {
            if !is_likely(&head) {
                return;
            }
            // Of a stream that has begun before they are trailers.
            if head.kind == kind::HEADERS && head.stream > self.latest {
                self.latest = head.stream;
                found(Found::Lost(None));
            }
            walk.pass(&head);
        }
        self.walk = Some(walk);
    }

    /// So many bytes are missing.
    pub(super) fn gap(&mut self, missing: u32) {
        if !self.walk.as_mut().is_some_and(|walk| walk.gap(missing)) {
            self.walk = None;
        }
    }
}

/// Whether a payload begins with a request: HEADERS of a client's stream, and behind it only what may be frames.
pub(super) fn begins_a_request(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut is_first = true;
    while let Some((head, behind)) = rest.split_first_chunk::<HEAD>() {
        let head = Head::of(*head);
        if !is_likely(&head) || is_first && head.kind != kind::HEADERS {
            return false;
        }
        is_first = false;
        rest = behind.get(head.len..).unwrap_or_default();
    }
    !is_first
}

/// Whether a client sends such frames (RFC 9113, 6). Others are allowed, and rare.
fn is_likely(head: &Head) -> bool {
    let of_a_stream = head.stream % 2 == 1;
    let is_plain = head.raw[5] & 0x80 == 0 && head.len <= MOST;
    is_plain
        && match head.kind {
            kind::DATA | kind::CONTINUATION => of_a_stream,
            kind::HEADERS => of_a_stream && head.len > 0 && head.flags & !HEADERS == 0,
            kind::PRIORITY => head.stream != 0 && head.len == 5,
            kind::RST_STREAM => of_a_stream && head.len == 4,
            kind::SETTINGS => head.stream == 0 && head.len.is_multiple_of(6),
            kind::PING => head.stream == 0 && head.len == 8,
            kind::GOAWAY => head.stream == 0 && head.len >= 8,
            kind::WINDOW_UPDATE => head.len == 4,
            _ => false,
        }
}

/// All flags that HEADERS has.
const HEADERS: u8 = flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY;
