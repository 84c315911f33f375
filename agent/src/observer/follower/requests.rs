//! What a client of HTTP/1 sends: where its requests begin and end.

use byway_http::{
    BodyScan, Detected, HeadScan, RequestHead, RequestKind, detect, header_space, parse_request,
};

use super::{MOST, way::Piece};

#[derive(Default)]
pub(super) struct Requests(State);

#[derive(Default)]
enum State {
    /// Nobody knows where the next request begins: with a packet, perhaps.
    #[default]
    Lost,
    /// The beginning of a head, if anything.
    Head(Vec<u8>),
    Body(BodyScan),
}

impl Requests {
    pub(super) fn lose(&mut self) {
        self.0 = State::Lost;
    }

    pub(super) fn is_known(&self) -> bool {
        !matches!(self.0, State::Lost)
    }

    /// The last one has come to its end, and no other has begun.
    pub(super) fn are_at_rest(&self) -> bool {
        matches!(&self.0, State::Head(held) if held.is_empty())
    }

    pub(super) fn take(&mut self, piece: Piece<'_>, mut found: impl FnMut(&RequestHead<'_, '_>)) {
        self.read(piece.bytes, &mut found);
        // What was not copied can only be passed over where it is known to be payload.
        match &mut self.0 {
            _ if piece.missing == 0 => {}
            State::Body(scan) if scan.opaque_run() >= piece.missing => {
                scan.skip(piece.missing);
                if scan.done() {
                    self.0 = State::Head(Vec::new());
                }
            }
            _ => self.lose(),
        }
    }

    fn read(&mut self, bytes: &[u8], found: &mut impl FnMut(&RequestHead<'_, '_>)) {
        if !self.is_known() {
            if detect(bytes) != Detected::Http1 {
                return;
            }
            self.0 = State::Head(Vec::new());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let next = match &mut self.0 {
                State::Lost => return,
                State::Body(scan) => match scan.advance(rest) {
                    Ok(used) => {
                        rest = &rest[used..];
                        if !scan.done() {
                            return;
                        }
                        State::Head(Vec::new())
                    }
                    Err(_) => State::Lost,
                },
                State::Head(held) => {
                    let before = held.len();
                    held.extend_from_slice(rest);
                    match head(held, found) {
                        Read::More if held.len() <= MOST => return,
                        Read::Whole(len, scan) if len > before => {
                            rest = &rest[len - before..];
                            if scan.done() { State::Head(Vec::new()) } else { State::Body(scan) }
                        }
                        _ => State::Lost,
                    }
                }
            };
            self.0 = next;
        }
    }
}

enum Read {
    More,
    /// A head of this length, and how its body goes on.
    Whole(usize, BodyScan),
    /// Not HTTP/1, or what follows is none.
    Lost,
}

fn head(bytes: &[u8], found: &mut impl FnMut(&RequestHead<'_, '_>)) -> Read {
    let len = match HeadScan::default().end(bytes) {
        Ok(Some(len)) => len,
        Ok(None) => return Read::More,
        Err(_) => return Read::Lost,
    };
    let mut space = header_space();
    let Ok(head) = parse_request(&bytes[..len], &mut space) else { return Read::Lost };
    found(&head);
    match head.kind {
        RequestKind::Upgrade { .. } | RequestKind::Connect => Read::Lost,
        RequestKind::Head | RequestKind::Other => Read::Whole(len, BodyScan::new(head.body)),
    }
}
