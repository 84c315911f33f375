use proptest::prelude::*;

use super::*;

fn parse(line: &str, headers: &[&str], kind: RequestKind) -> Result<ResponseHead, Doubt> {
    let headers: String = headers.iter().map(|it| format!("{it}\r\n")).collect();
    parse_response(format!("{line}\r\n{headers}\r\n").as_bytes(), kind)
}

#[test]
fn how_a_response_ends() {
    use RequestKind::{Connect, Head, Other};
    const UPGRADE: RequestKind = RequestKind::Upgrade { head: false };
    let length = &["Content-Length: 5"][..];
    let chunked = &["Transfer-Encoding: chunked"][..];
    let cases = [
        ("200", length, Other, Ok(Body::Length(5))),
        ("200", chunked, Other, Ok(Body::Chunked)),
        ("200", &[], Other, Ok(Body::UntilClose)),
        ("404", &[], Other, Ok(Body::UntilClose)),
        ("200", length, Head, Ok(Body::Empty)),
        ("200", chunked, Head, Ok(Body::Empty)),
        ("304", length, Other, Ok(Body::Empty)),
        ("204", &[], Other, Ok(Body::Empty)),
        ("204", &["Content-Length: 0"], Other, Ok(Body::Empty)),
        ("204", length, Other, Err(Doubt::ResponseFraming)),
        ("204", chunked, Other, Err(Doubt::ResponseFraming)),
        ("204", &["Transfer-Encoding: gzip"], Other, Err(Doubt::ResponseFraming)),
        ("304", chunked, Other, Ok(Body::Empty)),
        ("100", &[], Other, Ok(Body::Empty)),
        ("103", chunked, Other, Err(Doubt::ResponseFraming)),
        ("101", &[], UPGRADE, Ok(Body::Tunnel)),
        ("101", &["Upgrade : x", "no colon", "Content-Length: x"], UPGRADE, Ok(Body::Tunnel)),
        ("101", &[], Other, Err(Doubt::ResponseFraming)),
        ("200", length, UPGRADE, Ok(Body::Length(5))),
        ("200", length, RequestKind::Upgrade { head: true }, Ok(Body::Empty)),
        ("101", &[], RequestKind::Upgrade { head: true }, Ok(Body::Tunnel)),
        ("200", &[], Connect, Ok(Body::Tunnel)),
        ("299", length, Connect, Ok(Body::Tunnel)),
        ("200", &["Via : a", "Transfer-Encoding: gzip"], Connect, Ok(Body::Tunnel)),
        ("407", length, Connect, Ok(Body::Length(5))),
        ("200", &["Content-Length: 5", "Transfer-Encoding: chunked"], Other, Err(Doubt::ResponseFraming)),
        // What clients read alike, or not at all.
        ("200", &["Content-Length: 5", "Content-Length: 05"], Other, Ok(Body::Length(5))),
        (
            "200",
            &["Transfer-Encoding: chunked", "A: b", "transfer-encoding: Chunked"],
            Other,
            Ok(Body::Chunked),
        ),
        ("200", &["Content-Length: \t5 "], Other, Ok(Body::Length(5))),
        ("200", &["Transfer-Encoding:\tchunked"], Other, Ok(Body::Chunked)),
        ("200", &["X[a]: \u{1}\u{1b}\u{7f}", ": c", "Content-Length: 5"], Other, Ok(Body::Length(5))),
        ("200", &["Content_Length: 7", "Content-Length: 5"], Other, Ok(Body::Length(5))),
        // What they do not.
        ("200", &["Content-Length: 5", "Content-Length: 6"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Content-Length: 5, 5"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Content-Length: +5"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Content-Length: 5\t"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Transfer-Encoding: chunked, chunked"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Transfer-Encoding: chunked\t"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Transfer-Encoding: chunked "], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Transfer-Encoding: gzip"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Content-Length : 5"], Other, Err(Doubt::ResponseHead)),
        ("200", &["A : b"], Other, Err(Doubt::ResponseHead)),
        ("200", &["A\u{e9}: b"], Other, Err(Doubt::ResponseHead)),
        ("200", &["PHP Warning"], Other, Err(Doubt::ResponseHead)),
        // Without a body anyway.
        ("304", &["Content-Length: x"], Other, Ok(Body::Empty)),
        ("200", &["Content-Length: 5", "Transfer-Encoding: chunked"], Head, Ok(Body::Empty)),
        ("099", &[], Other, Err(Doubt::ResponseHead)),
        ("20", &[], Other, Err(Doubt::ResponseHead)),
        ("2000", &[], Other, Err(Doubt::ResponseHead)),
    ];
    for (status, headers, kind, wanted) in cases {
        let found = parse(&format!("HTTP/1.1 {status} X"), headers, kind).map(|it| it.body);
        assert_eq!(found, wanted, "{status} {headers:?} {kind:?}");
    }
    assert_eq!(parse("HTTP/1.0 200 X", chunked, Other), Err(Doubt::ResponseFraming));
    for line in ["HTTP/2 200", "HTTP/1.2 200 OK", "HTTP/1.1  200 OK", "http/1.1 200 OK", "ICY 200 OK"] {
        assert_eq!(parse(line, length, Other), Err(Doubt::ResponseHead), "{line}");
    }
    let bare = parse_response(b"HTTP/1.1 200 \xe9\x01\nContent-Length: 5\n\r\n", Other).unwrap();
    assert_eq!((bare.body, bare.status_line), (Body::Length(5), 16));
    let cookies = ["Set-Cookie: a=b"; 500];
    assert_eq!(parse("HTTP/1.1 200 OK", &cookies, Other).unwrap().body, Body::UntilClose);
}

#[test]
fn what_is_an_answer_at_all() {
    use AnswerStart::{Begun, Line, NeedMore, Other};
    let cases: [(&[u8], AnswerStart); 14] = [
        (b"", NeedMore),
        (b"\r\n\n", NeedMore),
        (b"HTT", NeedMore),
        (b"HTTP/", Begun),
        (b"HTTP/1.1 200 OK\r", Begun),
        (b"HTTP/1.1 200 OK\r\n", Line(17)),
        (b"\r\nhttp/7 no\nA: b\n", Line(12)),
        (b"IC", NeedMore),
        (b"ICY 200 OK\r\n", Line(12)),
        (b"HTTX", Other),
        (b"SSH-2.0-x\r\n", Other),
        (b" HTTP/1.1", Other),
        (b"\0\0\x12\x04", Other),
        (b"<html>", Other),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(answer_start(bytes), wanted, "{}", bytes.escape_ascii());
    }
}

proptest! {
    #[test]
    fn an_answer_stays_one(bytes in "[\r\n]{0,2}(HTTP/|http/|ICY |HTT|x)?[ -~]{0,4}[\r\n]{0,2}.{0,3}") {
        let mut decided = AnswerStart::NeedMore;
        for end in 0..=bytes.len() {
            let now = answer_start(&bytes.as_bytes()[..end]);
            let begins = decided == AnswerStart::Begun && matches!(now, AnswerStart::Line(_));
            prop_assert!(decided == AnswerStart::NeedMore || decided == now || begins, "{decided:?} became {now:?}");
            decided = now;
        }
    }
}

#[test]
fn what_else_is_told() {
    let head = parse("HTTP/1.1 200 OK", &["Content-Length: 1"], RequestKind::Other).unwrap();
    assert_eq!((head.status, head.status_line, head.keep_alive, head.interim), (200, 17, true, false));
    let interim = |line: &str, kind| parse(line, &[], kind).unwrap().interim;
    assert!(interim("HTTP/1.1 100 Continue", RequestKind::Other));
    assert!(interim("HTTP/1.1 103", RequestKind::Head));
    assert!(!interim("HTTP/1.1 101 x", RequestKind::Upgrade { head: false }));
    let stays = |line: &str, headers: &[&str]| parse(line, headers, RequestKind::Other).unwrap().keep_alive;
    assert!(!stays("HTTP/1.1 200 OK", &[]), "ends with the connection");
    assert!(!stays("HTTP/1.1 200 OK", &["Content-Length: 1", "Connection: close"]));
    assert!(!stays("HTTP/1.0 200 OK", &["Content-Length: 1"]));
    assert!(stays("HTTP/1.0 200 OK", &["Content-Length: 1", "Connection: Keep-Alive"]));
}
