//! What a held head is. A function of the bytes and the routes, and the same parsers as for any other connection.

use byway_http::{
    AppReason, Body, Decision, Detected, Doubt, HeadScan, LooseScan, RequestHead, RequestKind, detect,
    header_space, parse_request,
};

use crate::snapshot::Routes;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The head is not complete.
    Wait,
    /// Nothing here is keyed: the app goes on, straight.
    App(Seen),
    /// No HTTP: the app's, for good.
    Opaque(Doubt),
    /// HTTP/2, and so is what the port speaks.
    Http2,
    /// Keyed, in doubt, or to be followed in a way that only the agent can: the client does not wait for answers, say.
    Take,
}

/// What the client has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Bytes up to the next head; some may not have come yet.
    pub(super) bytes: u64,
    /// It is a HEAD.
    pub(super) is_head: bool,
    /// The counters of the preview whose key is there, but not what else its match asks for.
    pub(super) narrowed: Option<u32>,
    /// There is a key, and no route has it.
    pub(super) has_unknown_key: bool,
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
            Detected::Opaque(doubt) => return doubtful(bytes, doubt),
        }
    }
    let len = match HeadScan::default().end(bytes) {
        Ok(Some(len)) => len,
        Ok(None) => return Judgement::Wait,
        Err(_) => return Judgement::Take,
    };
    let mut space = header_space();
    let Ok(head) = parse_request(&bytes[..len], &mut space) else { return Judgement::Take };
    let verdict = routes.table.decide(&head, None);
    let Decision::App(reason) = verdict.decision else { return Judgement::Take };
    let body = match (head.body, head.kind) {
        (_, RequestKind::Upgrade { .. } | RequestKind::Connect) => return Judgement::Take,
        (Body::Empty, _) => 0,
        (Body::Length(length), _) if length < LONGEST => length,
        (Body::Length(_) | Body::Chunked | Body::UntilClose | Body::Tunnel, _) => return Judgement::Take,
    };
    let seen = Seen {
        bytes: len as u64 + body,
        is_head: head.kind == RequestKind::Head,
        narrowed: verdict.narrowed.and_then(|i| routes.legs.get(i)).map(|leg| leg.index),
        has_unknown_key: reason == AppReason::UnknownKey,
    };
    // Who asks again before the answer is there may ask with a key then, and whose answer is whose could not be told.
    if bytes.len() as u64 > seen.bytes { Judgement::Take } else { Judgement::App(seen) }
}

/// A connection in doubt is served by the agent, which counts what previews lose by it. What is no HTTP is left alone, but
/// for what looks like it: another version, or what a proxy says of its client ahead of a request.
fn doubtful(bytes: &[u8], doubt: Doubt) -> Judgement {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let method = line.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let has_method = method > 0 && line.get(method) == Some(&b' ');
    let has_version = line.last_chunk::<8>().is_some_and(|it| it.starts_with(b"HTTP/"));
    let is_like = match doubt {
        Doubt::Tls => false,
        Doubt::NulByte => has_method,
        Doubt::NotHttp | Doubt::BadVersion => has_method && (has_version || line.starts_with(b"PROXY ")),
        _ => true,
    };
    if is_like { Judgement::Take } else { Judgement::Opaque(doubt) }
}

/// The counters of the previews that requests in `bytes` are for, which begin with a head.
pub(super) fn previews_of(bytes: &[u8], routes: &Routes) -> Vec<u32> {
    let mut found = Vec::new();
    let keyed = |head: &RequestHead<'_, '_>| {
        if let Decision::Preview(route, _) = routes.table.decide(head, None).decision {
            found.extend(routes.legs.get(route).map(|leg| leg.index));
        }
    };
    LooseScan::default().look(bytes, |name| routes.table.asks_about(name), keyed);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(bytes: &str) -> Judgement {
        judge(bytes.as_bytes(), true, &Routes::default())
    }

    #[test]
    fn a_request_is_followed_through_its_body() {
        let one = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n";
        let bytes = one.len() as u64 + 5;
        for sent in ["", "hel", "hello"] {
            assert_eq!(judged(&format!("{one}{sent}")), Judgement::App(Seen { bytes, ..Seen::default() }));
        }
        let head = "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n";
        let seen = Seen { bytes: head.len() as u64, is_head: true, ..Seen::default() };
        assert_eq!(judged(head), Judgement::App(seen));
        assert_eq!(judged(&format!("{one}hello{head}")), Judgement::Take);
        assert_eq!(judged(&head[..head.len() - 1]), Judgement::Wait);
    }

    #[test]
    fn what_only_the_agent_can_follow_is_taken() {
        for header in ["transfer-encoding: chunked", "connection: upgrade\r\nupgrade: websocket"] {
            assert_eq!(judged(&format!("GET / HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n")), Judgement::Take);
        }
    }

    #[test]
    fn what_is_in_doubt_is_taken_and_what_is_no_http_is_the_apps() {
        for doubtful in [
            "GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\nhost: a\n\n",
            "GET / HTTP/1.2\r\n\r\n",
            "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
            "\n",
        ] {
            assert_eq!(judged(doubtful), Judgement::Take, "{doubtful:?}");
        }
        assert_eq!(judged("HELO x\r\n"), Judgement::Opaque(Doubt::NotHttp));
        assert_eq!(judged("\x16\x03\x01"), Judgement::Opaque(Doubt::Tls));
        assert_eq!(judged("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Judgement::Http2);
        assert_eq!(judged("GET / HT"), Judgement::Wait);
    }
}
