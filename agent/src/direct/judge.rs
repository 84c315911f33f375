//! What a held head is. A function of the bytes and the routes, and the same parsers as for any other connection.

use byway_http::{
    Body, Decision, Detected, Doubt, HeadScan, RequestKind, detect, header_space, parse_request,
};

use crate::snapshot::Routes;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The head is not complete.
    Wait,
    /// Nothing here is keyed: the app goes on, straight.
    App(Seen),
    /// In doubt: the app's, for good.
    Opaque(Doubt),
    /// HTTP/2: the same, and the port is one that speaks it.
    Http2,
    /// Keyed, or to be followed in a way that only the agent can.
    Take,
}

/// What the client has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Bytes up to the next head; some may not have come yet.
    pub(super) bytes: u64,
    pub(super) requests: u32,
    /// The last one was a HEAD.
    pub(super) is_head: bool,
}

/// Sequence numbers go round at 4 GiB; a body this long is followed by nobody.
const LONGEST: u64 = 1 << 31;

/// `bytes` begin with a head. `is_first`: the first of the connection.
pub(super) fn judge(bytes: &[u8], is_first: bool, routes: &Routes) -> Judgement {
    if is_first {
        match detect(bytes) {
            Detected::Http1 => {}
            Detected::NeedMore => return Judgement::Wait,
            Detected::Http2 => return Judgement::Http2,
            Detected::Opaque(doubt) => return Judgement::Opaque(doubt),
        }
    }
    let mut seen = Seen::default();
    loop {
        let Some(rest) = usize::try_from(seen.bytes).ok().and_then(|at| bytes.get(at..)) else {
            return Judgement::App(seen); // in the body
        };
        if rest.is_empty() && seen.requests > 0 {
            return Judgement::App(seen);
        }
        let len = match HeadScan::default().end(rest) {
            Ok(Some(len)) => len,
            Ok(None) => return Judgement::Wait,
            Err(doubt) => return Judgement::Opaque(doubt),
        };
        let mut space = header_space();
        let head = match parse_request(&rest[..len], &mut space) {
            Ok(head) => head,
            Err(doubt) => return Judgement::Opaque(doubt),
        };
        if matches!(routes.table.decide(&head, None).decision, Decision::Preview(..)) {
            return Judgement::Take;
        }
        let body = match (head.body, head.kind) {
            (_, RequestKind::Upgrade { .. } | RequestKind::Connect) => return Judgement::Take,
            (Body::Empty, _) => 0,
            (Body::Length(length), _) if length < LONGEST => length,
            (Body::Length(_), _) => return Judgement::Opaque(Doubt::BadLength),
            (Body::Chunked | Body::UntilClose | Body::Tunnel, _) => return Judgement::Take,
        };
        seen.bytes += len as u64 + body;
        seen.requests += 1;
        seen.is_head = head.kind == RequestKind::Head;
    }
}

/// The counters of the preview that the first head of `bytes` is for, if it is for one.
pub(super) fn preview_of(bytes: &[u8], routes: &Routes) -> Option<u32> {
    let len = HeadScan::default().end(bytes).ok()??;
    let mut space = header_space();
    let head = parse_request(&bytes[..len], &mut space).ok()?;
    let Decision::Preview(route, _) = routes.table.decide(&head, None).decision else { return None };
    routes.legs.get(route).map(|leg| leg.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(bytes: &str) -> Judgement {
        judge(bytes.as_bytes(), true, &Routes::default())
    }

    #[test]
    fn requests_are_followed_through_their_bodies() {
        let one = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n";
        let seen = |bytes, requests, is_head| Judgement::App(Seen { bytes, requests, is_head });
        assert_eq!(judged(one), seen(one.len() as u64 + 5, 1, false));
        assert_eq!(judged(&format!("{one}hel")), seen(one.len() as u64 + 5, 1, false));
        let two = format!("{one}helloHEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(judged(&two), seen(two.len() as u64, 2, true));
        assert_eq!(judged(&two[..two.len() - 1]), Judgement::Wait);
    }

    #[test]
    fn what_only_the_agent_can_follow_is_taken() {
        for header in ["transfer-encoding: chunked", "connection: upgrade\r\nupgrade: websocket"] {
            assert_eq!(judged(&format!("GET / HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n")), Judgement::Take);
        }
    }

    #[test]
    fn what_is_in_doubt_is_the_apps() {
        assert_eq!(judged("HELO x\r\n"), Judgement::Opaque(Doubt::NotHttp));
        assert_eq!(judged("GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n"), Judgement::Opaque(Doubt::ObsFold));
        assert_eq!(judged("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Judgement::Http2);
        assert_eq!(judged("GET / HT"), Judgement::Wait);
    }
}
