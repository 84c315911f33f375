//! What must hold for whatever packets a client sends, and whatever of them was copied: a request that is shown was sent
//! so, in one piece. One body for two callers: the fuzz target, and a test that runs it for a fixed number of inputs.

use byway_http::copies::{Copied, Found, Reader, Segments};

/// What may be kept of something that is not whole beside its bytes.
const ROOM: usize = 64 << 10;

/// What was sent, and which of its bytes were copied.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    known: Vec<bool>,
}

/// Checks one input: whether a connection is seen from its beginning, and packets: what becomes of each, how long it is,
/// and its bytes.
pub(crate) fn check(input: &[u8]) {
    let Some((mode, mut input)) = input.split_first() else { return };
    let start = u32::from(*mode).wrapping_mul(0x0101_0101);
    let mut reader = if mode % 4 == 0 { Reader::midway() } else { Reader::new() };
    let (mut segments, mut stream) = (Segments::new(start), Stream::default());
    let mut late = None;
    while let Some(([what, long, len], rest)) = input.split_first_chunk() {
        let (packet, rest) = rest.split_at(usize::from(u16::from_be_bytes([*long, *len])).min(rest.len()));
        input = rest;
        let at = stream.bytes.len();
        stream.bytes.extend_from_slice(packet);
        let copied = match what % 8 {
            0 => 0,                                    // not at all
            1 => packet.len().min(usize::from(*what)), // its beginning
            _ => packet.len(),
        };
        stream.known.resize(at + copied, true);
        stream.known.resize(at + packet.len(), false);
        if copied == 0 {
            continue;
        }
        let part = (at, copied, packet.len() - copied);
        let mut take = |(at, copied, missing): (usize, usize, usize)| {
            let seq = start.wrapping_add(at as u32);
            let bytes = &stream.bytes[at..at + copied];
            segments.take(seq, bytes, missing as u32, |piece| reader.next(piece, |it| stream.has(&it)))
        };
        match what % 8 {
            // Behind the next one.
            2 if late.is_none() => late = Some(part),
            _ => {
                assert!(take(part));
                // And once more.
                assert!(what % 8 != 3 || take(part));
                assert!(late.take().is_none_or(take));
            }
        }
        if let Some(missing) = segments.gap().filter(|_| what % 16 == 4) {
            reader.gap(missing, |it| stream.has(&it));
            segments.skip(|piece| reader.next(piece, |it| stream.has(&it)));
        }
        assert!(reader.held() + segments.held() <= 3 * stream.bytes.len() + ROOM);
    }
    while let Some(missing) = segments.gap() {
        reader.gap(missing, |it| stream.has(&it));
        segments.skip(|piece| reader.next(piece, |it| stream.has(&it)));
    }
    reader.end(|it| stream.has(&it));
    assert_eq!((reader.held(), segments.held()), (0, 0), "at the end nothing is held");
}

impl Stream {
    /// Fails if a request is shown that was not sent so, or of which not all was copied.
    fn has(&self, found: &Found) {
        match found {
            Found::Whole(Copied::Http1 { bytes, head }) => {
                assert!(bytes[..*head].ends_with(b"\n"));
                let is_here = |at: usize| {
                    self.bytes[at..].starts_with(bytes)
                        && self.known[at..at + bytes.len()].iter().all(|it| *it)
                };
                assert!((0..self.bytes.len()).any(is_here), "{:?}", String::from_utf8_lossy(bytes));
            }
            Found::Whole(Copied::Http2 { body, .. }) => assert!(body.len() <= self.bytes.len()),
            Found::Lost(_) => {}
        }
    }
}
