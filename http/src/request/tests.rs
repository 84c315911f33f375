use super::*;
use crate::{HeadScan, header_space};

fn parse<T>(head: &str, ask: impl FnOnce(&RequestHead<'_, '_>) -> T) -> Result<T, Doubt> {
    let mut scan = HeadScan::default();
    assert_eq!(scan.end(head.as_bytes()), Ok(Some(head.len())), "{head:?}");
    let mut space = header_space();
    parse_request(head.as_bytes(), &mut space).map(|it| ask(&it))
}

fn with(line: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|it| format!("{it}\r\n")).collect();
    format!("{line}\r\n{headers}\r\n")
}

fn framing(headers: &[&str]) -> Result<Body, Doubt> {
    parse(&with("POST / HTTP/1.1", headers), |it| it.body)
}

#[test]
fn a_plain_request() {
    let head = with("GET /a/b?c=d HTTP/1.1", &["Host: x", "A:  b \t", "A:"]);
    parse(&head, |it| {
        assert_eq!((it.method, it.target, it.path(), it.version), ("GET", &b"/a/b?c=d"[..], &b"/a/b"[..], 1));
        let headers: Vec<_> = it.headers.iter().map(|h| (h.name, h.value)).collect();
        assert_eq!(headers, [("Host", &b"x"[..]), ("A", b"b"), ("A", b"")]);
        assert_eq!((it.body, it.kind), (Body::Empty, RequestKind::Other));
        assert!(it.keep_alive && !it.upgrade && !it.expects_continue);
    })
    .unwrap();
}

#[test]
fn tabs_around_lengths_are_in_doubt() {
    assert_eq!(framing(&["Content-Length:\t7"]), Err(Doubt::BadLength));
    assert_eq!(framing(&["Content-Length: 7\t"]), Err(Doubt::BadLength));
    assert_eq!(framing(&["Transfer-Encoding: \tchunked"]), Err(Doubt::TransferEncoding));
    assert_eq!(framing(&["Transfer-Encoding: chunked \t "]), Err(Doubt::TransferEncoding));
    assert_eq!(framing(&["x:\ty\t", "Content-Length: 7", "z:\t\t"]), Ok(Body::Length(7)));
}

#[test]
fn lengths_beyond_doubt() {
    assert_eq!(framing(&[]), Ok(Body::Empty));
    assert_eq!(framing(&["Content-Length: 0"]), Ok(Body::Length(0)));
    assert_eq!(framing(&["content-length: 18446744073709551615"]), Ok(Body::Length(u64::MAX)));
    assert_eq!(framing(&["Content-Length:  007 "]), Ok(Body::Length(7)));
    assert_eq!(framing(&["Transfer-Encoding: Chunked"]), Ok(Body::Chunked));
}

#[test]
fn lengths_in_doubt() {
    let cases: [(&[&str], Doubt); 22] = [
        (&["Content-Length: 1", "Transfer-Encoding: chunked"], Doubt::BothLengths),
        (&["Transfer-Encoding: chunked", "Content-Length: 0"], Doubt::BothLengths),
        (&["Content-Length: 1", "Content-Length: 1"], Doubt::BadLength),
        (&["Content-Length: 1", "Content-Length: 2"], Doubt::BadLength),
        (&["Content-Length: 1, 1"], Doubt::BadLength),
        (&["Content-Length: +1"], Doubt::BadLength),
        (&["Content-Length: -1"], Doubt::BadLength),
        (&["Content-Length: 1 2"], Doubt::BadLength),
        (&["Content-Length: 0x1"], Doubt::BadLength),
        (&["Content-Length:"], Doubt::BadLength),
        (&["Content-Length: 18446744073709551616"], Doubt::BadLength),
        (&["Transfer-Encoding: gzip, chunked"], Doubt::TransferEncoding),
        (&["Transfer-Encoding: chunked, chunked"], Doubt::TransferEncoding),
        (&["Transfer-Encoding: identity"], Doubt::TransferEncoding),
        (&["Transfer-Encoding: xchunked"], Doubt::TransferEncoding),
        (&["Transfer-Encoding: \"chunked\""], Doubt::TransferEncoding),
        (&["Transfer-Encoding:"], Doubt::TransferEncoding),
        (&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], Doubt::TransferEncoding),
        (&["Content_Length: 1"], Doubt::LookalikeHeader),
        (&["TRANSFER_ENCODING: chunked"], Doubt::LookalikeHeader),
        (&["Transfer-Encoding: chunked\u{b}"], Doubt::TransferEncoding),
        (&["Transfer-Encoding: chunked "], Doubt::TransferEncoding),
    ];
    for (headers, doubt) in cases {
        assert_eq!(framing(headers), Err(doubt), "{headers:?}");
    }
    assert_eq!(
        parse(&with("POST / HTTP/1.0", &["Transfer-Encoding: chunked"]), |it| it.body),
        Err(Doubt::TransferEncoding)
    );
}

#[test]
fn heads_in_doubt() {
    let cases = [
        (with("GET / HTTP/1.1", &["A : b"]), Doubt::BadHead),
        (with("GET / HTTP/1.1", &[": b"]), Doubt::BadHead),
        (with("GET / HTTP/1.1", &["A"]), Doubt::BadHead),
        (with("GET / HTTP/1.1", &["A\u{e9}: b"]), Doubt::BadHead),
        (with("GET / HTTP/1.1", &["A(b): c"]), Doubt::BadHead),
        (with("GET  / HTTP/1.1", &[]), Doubt::BadHead),
        (with("GET / HTTP/1.1 ", &[]), Doubt::BadHead),
        (with("GET /", &[]), Doubt::BadHead),
        (with("G(T / HTTP/1.1", &[]), Doubt::BadHead),
        (with("GET / HTTP/1.2", &[]), Doubt::BadVersion),
        (with("GET / http/1.1", &[]), Doubt::BadVersion),
        (with("GET / HTTP/2.0", &[]), Doubt::BadVersion),
        (with("GET /a b HTTP/1.1", &[]), Doubt::BadHead),
        (with("GET /\tb HTTP/1.1", &[]), Doubt::BadTarget),
        (with("GET /\u{7f} HTTP/1.1", &[]), Doubt::BadTarget),
        (with("CONNECT a:1 HTTP/1.1", &["Content-Length: 5"]), Doubt::BadLength),
        (with("GET / HTTP/1.1", &["A: b"; 129]), Doubt::HeadTooLong),
    ];
    for (head, doubt) in cases {
        assert_eq!(parse(&head, |it| it.target.to_vec()), Err(doubt), "{head:?}");
    }
    assert!(parse(&with("GET / HTTP/1.1", &["A: b"; 128]), |_| ()).is_ok());
}

#[test]
fn targets_and_their_paths() {
    let cases = [
        ("GET", "/", "/"),
        ("GET", "//a", "//a"),
        ("GET", "/%2e?/x", "/%2e"),
        ("GET", "/{a}|b", "/{a}|b"),
        ("GET", "http://h:80/a?b", "/a"),
        ("GET", "HTTPS://[::1]:443", "/"),
        ("GET", "http://h?b", "/"),
        ("OPTIONS", "*", "*"),
        ("CONNECT", "h:443", ""),
        // What some servers refuse, and others take.
        ("GET", "/a\"<b>`|{}^\\?`c=\"<d>`", "/a\"<b>`|{}^\\"),
        ("GET", "/\u{e9}\u{1f600}?\u{e9}", "/\u{e9}\u{1f600}"),
        ("GET", "/a#b?c", "/a"),
        ("GET", "http://u:p@a/b#c", "/b"),
        ("GET", "http://a#/b", "/"),
        ("GET", "http:///b", "/b"),
        ("GET", "ftp://a/b", ""),
        ("GET", "a", ""),
        ("GET", "*", "*"),
        ("CONNECT", "/a", "/a"),
        ("CONNECT", "a", ""),
    ];
    for (method, target, path) in cases {
        let found = parse(&with(&format!("{method} {target} HTTP/1.1"), &[]), |it| it.path().to_vec());
        assert_eq!(found, Ok(path.as_bytes().to_vec()), "{target}");
    }
    let latin = b"GET /\xe9?\xff HTTP/1.1\r\n\r\n";
    assert_eq!(parse_request(latin, &mut header_space()).unwrap().path(), b"/\xe9");
}

#[test]
fn values_are_whatever_a_line_holds() {
    let head = b"GET / HTTP/1.1\r\nA: \x01\x1b[1m\x7f\xff\x0b\r\nContent-Length: 7\r\n\r\n";
    let mut space = header_space();
    let head = parse_request(head, &mut space).unwrap();
    assert_eq!((head.headers[0].value, head.body), (&b"\x01\x1b[1m\x7f\xff\x0b"[..], Body::Length(7)));
}

#[test]
fn the_connection() {
    let asks = |line: &str, headers: &[&str]| {
        parse(&with(line, headers), |it| (it.keep_alive, it.upgrade, it.expects_continue)).unwrap()
    };
    assert_eq!(asks("GET / HTTP/1.1", &["Connection: a, Close"]), (false, false, false));
    assert_eq!(asks("GET / HTTP/1.0", &[]), (false, false, false));
    assert_eq!(asks("GET / HTTP/1.0", &["Connection: keep-alive"]), (true, false, false));
    assert_eq!(asks("GET / HTTP/1.0", &["Connection: keep-alive, close"]), (false, false, false));
    assert_eq!(
        asks("GET / HTTP/1.1", &["Connection: keep-alive, Upgrade", "Upgrade: websocket"]),
        (true, true, false)
    );
    assert_eq!(asks("GET / HTTP/1.1", &["Connection: Upgrade"]), (true, false, false));
    assert_eq!(asks("GET / HTTP/1.1", &["Upgrade: websocket"]), (true, false, false));
    assert_eq!(asks("GET / HTTP/1.0", &["Connection: upgrade", "Upgrade: a"]), (false, false, false));
    assert_eq!(asks("PUT / HTTP/1.1", &["Expect: 100-Continue"]), (true, false, true));
    assert_eq!(asks("PUT / HTTP/1.0", &["Expect: 100-continue"]), (false, false, false));
}

#[test]
fn kinds() {
    let kind = |line: &str, headers: &[&str]| parse(&with(line, headers), |it| it.kind).unwrap();
    assert_eq!(kind("HEAD / HTTP/1.1", &[]), RequestKind::Head);
    assert_eq!(kind("head / HTTP/1.1", &[]), RequestKind::Other);
    assert_eq!(kind("CONNECT a:1 HTTP/1.1", &[]), RequestKind::Connect);
    assert_eq!(
        kind("GET / HTTP/1.1", &["Connection: upgrade", "Upgrade: x"]),
        RequestKind::Upgrade { head: false }
    );
}
