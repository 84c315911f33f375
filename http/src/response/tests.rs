use super::*;

fn parse(line: &str, headers: &[&str], kind: RequestKind) -> Result<ResponseHead, Doubt> {
    let headers: String = headers.iter().map(|it| format!("{it}\r\n")).collect();
    parse_response(format!("{line}\r\n{headers}\r\n").as_bytes(), kind)
}

#[test]
fn how_a_response_ends() {
    use RequestKind::{Connect, Head, Other, Upgrade};
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
        ("100", &[], Other, Ok(Body::Empty)),
        ("103", chunked, Other, Err(Doubt::ResponseFraming)),
        ("101", &[], Upgrade, Ok(Body::Tunnel)),
        ("101", &[], Other, Err(Doubt::ResponseFraming)),
        ("200", length, Upgrade, Ok(Body::Length(5))),
        ("200", &[], Connect, Ok(Body::Tunnel)),
        ("299", length, Connect, Ok(Body::Tunnel)),
        ("407", length, Connect, Ok(Body::Length(5))),
        ("200", &["Content-Length: 5", "Transfer-Encoding: chunked"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Content-Length: 5", "Content-Length: 5"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["Transfer-Encoding: gzip"], Other, Err(Doubt::ResponseFraming)),
        ("304", &["Content-Length: x"], Other, Err(Doubt::ResponseFraming)),
        ("200", &["A : b"], Other, Err(Doubt::ResponseHead)),
        ("099", &[], Other, Err(Doubt::ResponseHead)),
        ("20", &[], Other, Err(Doubt::ResponseHead)),
    ];
    for (status, headers, kind, wanted) in cases {
        let found = parse(&format!("HTTP/1.1 {status} X"), headers, kind).map(|it| it.body);
        assert_eq!(found, wanted, "{status} {headers:?} {kind:?}");
    }
    assert_eq!(parse("HTTP/1.0 200 X", chunked, Other), Err(Doubt::ResponseFraming));
    assert_eq!(parse("HTTP/2 200", &[], Other), Err(Doubt::ResponseHead));
}

#[test]
fn what_else_is_told() {
    let head = parse("HTTP/1.1 200 OK", &["Content-Length: 1"], RequestKind::Other).unwrap();
    assert_eq!((head.status, head.status_line, head.keep_alive, head.interim), (200, 17, true, false));
    let interim = |line: &str, kind| parse(line, &[], kind).unwrap().interim;
    assert!(interim("HTTP/1.1 100 Continue", RequestKind::Other));
    assert!(interim("HTTP/1.1 103", RequestKind::Head));
    assert!(!interim("HTTP/1.1 101 x", RequestKind::Upgrade));
    let stays = |line: &str, headers: &[&str]| parse(line, headers, RequestKind::Other).unwrap().keep_alive;
    assert!(!stays("HTTP/1.1 200 OK", &[]), "ends with the connection");
    assert!(!stays("HTTP/1.1 200 OK", &["Content-Length: 1", "Connection: close"]));
    assert!(!stays("HTTP/1.0 200 OK", &["Content-Length: 1"]));
    assert!(stays("HTTP/1.0 200 OK", &["Content-Length: 1", "Connection: Keep-Alive"]));
}
