//! Requests of HTTP/1, one after the other.

use super::{Copied, Found, MOST};
use crate::{Body, BodyScan, HeadScan, RequestKind, header_space, parse_request};

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Of the request under way.
    bytes: Vec<u8>,
    scan: HeadScan,
    body: Option<Following>,
    /// Where a request begins is not known: it will be where a payload begins as one does.
    is_lost: bool,
}

/// A body that is followed to its end.
#[derive(Debug)]
struct Following {
    scan: BodyScan,
    head: usize,
    /// It is too long, or part of it is missing.
    is_lost: bool,
}

impl Reader {
    fn midway() -> Self {
        Self { is_lost: true, ..Self::default() }
    }

    pub(super) const fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes of a body that is lost, as far as it is known where it ends.
    pub(super) const fn unwanted(&self) -> u64 {
        match &self.body {
            Some(body) if body.is_lost => body.scan.opaque_run(),
            _ => 0,
        }
    }

    /// So many bytes are missing: the request under way is lost. Where it ends may be known all the same.
    pub(super) fn gap(&mut self, missing: u32, found: &mut impl FnMut(Found)) {
        if let Some(body) = &mut self.body
            && u64::from(missing) <= body.scan.opaque_run()
        {
            body.scan.skip(missing.into());
            body.is_lost = true;
            forget_body(&mut self.bytes, body.head);
            if body.scan.done()
                && let Some(body) = self.body.take()
            {
                self.whole(&body, found);
            }
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        match self.body.take() {
            Some(Following { head, .. }) => found(lost(bytes, head)),
            None if !bytes.is_empty() => found(Found::Lost(None)),
            None => {}
        }
        *self = Self::midway();
    }

    /// Whether more can follow.
    pub(super) fn take(&mut self, bytes: &[u8], found: &mut impl FnMut(Found)) -> bool {
        if self.is_lost {
            if !begins_a_request(bytes) {
                return true;
            }
            self.is_lost = false;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let goes_on = match self.body.take() {
                Some(body) => self.body(body, &mut rest, found),
                None => self.head(&mut rest, found),
            };
            if !goes_on {
                return false;
            }
        }
        true
    }

    fn head(&mut self, rest: &mut &[u8], found: &mut impl FnMut(Found)) -> bool {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(rest);
        let end = match self.scan.end(&self.bytes) {
            Ok(Some(end)) => end,
            Ok(None) => {
                *rest = &[];
                return true;
            }
            Err(_) => {
                found(Found::Lost(None));
                return false;
            }
        };
        self.scan.reset();
        *rest = &rest[end - before..];
        self.bytes.truncate(end);
        let Some((kind, body)) = framing(&self.bytes) else {
            found(Found::Lost(None));
            return false;
        };
        if kind == RequestKind::Connect {
            return false; // what follows is no HTTP
        }
        let scan = BodyScan::new(body);
        let is_lost = scan.opaque_run().saturating_add(end as u64) > MOST as u64;
        let following = Following { scan, head: end, is_lost };
        if following.scan.done() {
            self.whole(&following, found);
        } else {
            self.body = Some(following);
        }
        true
    }

    fn body(&mut self, mut body: Following, rest: &mut &[u8], found: &mut impl FnMut(Found)) -> bool {
        let Ok(used) = body.scan.advance(rest) else {
            found(lost(std::mem::take(&mut self.bytes), body.head));
            return false;
        };
        body.is_lost |= self.bytes.len() + used > MOST;
        if body.is_lost {
            forget_body(&mut self.bytes, body.head);
        } else {
            self.bytes.extend_from_slice(&rest[..used]);
        }
        *rest = &rest[used..];
        if body.scan.done() {
            self.whole(&body, found);
        } else {
            self.body = Some(body);
        }
        true
    }

    fn whole(&mut self, Following { head, is_lost, .. }: &Following, found: &mut impl FnMut(Found)) {
        let bytes = std::mem::take(&mut self.bytes);
        found(if *is_lost { lost(bytes, *head) } else { Found::Whole(Copied::Http1 { bytes, head: *head }) });
    }
}

/// How a request goes on behind its head.
fn framing(head: &[u8]) -> Option<(RequestKind, Body)> {
    let mut space = header_space();
    let head = parse_request(head, &mut space).ok()?;
    Some((head.kind, head.body))
}

/// Of a request that is lost only the head is of use.
fn forget_body(bytes: &mut Vec<u8>, head: usize) {
    bytes.truncate(head);
    bytes.shrink_to_fit();
}

fn lost(mut bytes: Vec<u8>, head: usize) -> Found {
    bytes.truncate(head);
    Found::Lost(Some(Copied::Http1 { bytes, head }))
}

/// Whether a payload begins with the whole line of a request, with a method that is in use.
pub(super) fn begins_a_request(bytes: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"PATCH ", b"OPTIONS "];
    let line = memchr::memchr(b'\n', bytes).map(|end| &bytes[..end]).unwrap_or_default();
    METHODS.iter().any(|method| line.starts_with(method))
        && (line.ends_with(b" HTTP/1.1\r") || line.ends_with(b" HTTP/1.0\r"))
}
