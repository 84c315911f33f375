//! From copies of one connection's packets to the request heads in them. Pure.

use byway_http::{
    BodyScan, Detected, HeadScan, RequestHead, RequestKind, detect, header_space, parse_request,
};

#[cfg(test)]
mod tests;

/// A head that is longer is not put together: several such connections must not cost much memory.
const MOST: usize = 16 << 10;

/// What is known of a connection's way up.
#[derive(Default)]
pub(crate) struct Follower {
    /// The sequence number after what has been seen.
    next: Option<u32>,
    state: State,
}

#[derive(Default)]
enum State {
    /// Nobody knows where the next request begins: with a packet, perhaps.
    #[default]
    Lost,
    /// The beginning of a head, if anything.
    Head(Vec<u8>),
    Body(BodyScan),
}

impl Follower {
    /// Takes a packet of `len` bytes in, of which the first ones were copied, and hands out each request head that it
    /// completes.
    pub(crate) fn take(
        &mut self,
        seq: u32,
        len: u32,
        copied: &[u8],
        mut found: impl FnMut(&RequestHead<'_, '_>),
    ) {
        let (mut copied, mut len) = (copied, len);
        if let Some(next) = self.next {
            let ahead = seq.wrapping_sub(next).cast_signed();
            let seen = if ahead < 0 { ahead.unsigned_abs() } else { 0 };
            if seen >= len {
                return; // sent again
            }
            if ahead > 0 {
                self.state = State::Lost;
            }
            copied = copied.get(seen as usize..).unwrap_or_default();
            len -= seen;
            self.next = Some(next.wrapping_add(len).wrapping_add(ahead.max(0).unsigned_abs()));
        } else {
            self.next = Some(seq.wrapping_add(len));
        }
        self.read(copied, &mut found);
        // What was not copied can only be passed over where it is known to be payload.
        let missing = u64::from(len).saturating_sub(copied.len() as u64);
        match &mut self.state {
            _ if missing == 0 => {}
            State::Body(scan) if scan.opaque_run() >= missing => {
                scan.skip(missing);
                if scan.done() {
                    self.state = State::Head(Vec::new());
                }
            }
            _ => self.state = State::Lost,
        }
    }

    fn read(&mut self, bytes: &[u8], found: &mut impl FnMut(&RequestHead<'_, '_>)) {
        if matches!(self.state, State::Lost) {
            if detect(bytes) != Detected::Http1 {
                return;
            }
            self.state = State::Head(Vec::new());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let next = match &mut self.state {
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
            self.state = next;
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
        RequestKind::Upgrade | RequestKind::Connect => Read::Lost,
        RequestKind::Head | RequestKind::Other => Read::Whole(len, BodyScan::new(head.body)),
    }
}
