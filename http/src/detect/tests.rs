use proptest::prelude::*;

use super::*;

#[test]
fn what_the_first_bytes_say() {
    use Detected::{Http1, Http2, NeedMore, Opaque};
    let cases: [(&[u8], Detected); 28] = [
        (b"", NeedMore),
        (b"G", NeedMore),
        (b"GET", NeedMore),
        (b"GET /", NeedMore),
        (b"GET / HTTP/1.", NeedMore),
        (b"GET / HTTP/1.1\r", NeedMore),
        (b"GET / HTTP/1.1\r\n", Http1),
        (b"POST /x?y HTTP/1.0\r\nHost: a", Http1),
        (b"M-SEARCH * HTTP/1.1\r\n", Http1),
        (b"PRI", NeedMore),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http2),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Http2),
        (b"PRI * HTTP/2.0\r\n\r\nXX", Opaque(Doubt::BadVersion)),
        (b"\x16\x03\x01", Opaque(Doubt::Tls)),
        (b"\x16", Opaque(Doubt::Tls)),
        (b"\0", Opaque(Doubt::NotHttp)),
        (b" GET", Opaque(Doubt::NotHttp)),
        (b"\r\nGET / HTTP/1.1\r\n", Opaque(Doubt::EmptyLine)),
        (b"\nGET / HTTP/1.1\r\n", Opaque(Doubt::BareLf)),
        (b"HELO mail\r\n", Opaque(Doubt::NotHttp)),
        (b"get key\r\n", Opaque(Doubt::NotHttp)),
        (b"*3\r\n", Opaque(Doubt::NotHttp)),
        (b"SSH-2.0-x\r\n", Opaque(Doubt::NotHttp)),
        (b"SET a b", Opaque(Doubt::NotHttp)),
        (b"GET / HTTP/1.1\n", Opaque(Doubt::BareLf)),
        (b"GET / HTTP/1.1\rX", Opaque(Doubt::BareCr)),
        (b"GET / HTTP/1.2\r\n", Opaque(Doubt::BadVersion)),
        (b"GET  / HTTP/1.1\r\n", Opaque(Doubt::NotHttp)),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(detect(bytes), wanted, "{}", bytes.escape_ascii());
    }
    let long = format!("GET /{} HTTP/9", "x".repeat(2000));
    assert_eq!(detect(long.as_bytes()), Http1, "enough of a line is not looked at further");
    assert_eq!(detect(&[b'A'; 40]), Opaque(Doubt::NotHttp));
}

proptest! {
    #[test]
    fn what_is_decided_stays_decided(line in "[A-Z]{1,5} ?[ -~]{0,12}( HTTP/[0-3.]{1,3}[\r\n]{0,2})?.{0,3}") {
        let mut decided = None;
        for end in 0..=line.len() {
            let now = detect(&line.as_bytes()[..end]);
            match decided {
                Some(before) => prop_assert_eq!(before, now),
                None if now != Detected::NeedMore => decided = Some(now),
                None => {}
            }
        }
    }
}
