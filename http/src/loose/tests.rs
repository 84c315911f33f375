use proptest::prelude::*;

use super::*;
use crate::carried_key;

/// The keys of the heads that are found, with method and path.
fn found(pieces: &[&[u8]]) -> Vec<String> {
    let (mut scan, mut keys) = (LooseScan::default(), Vec::new());
    for piece in pieces {
        scan.look(
            piece,
            |_| true,
            |head| {
                let key = carried_key(head.headers).map_or_else(|| "-".to_owned(), |it| it.key.into_owned());
                keys.push(format!("{} {} {key}", head.method, head.path().escape_ascii()));
            },
        );
    }
    keys
}

#[test]
fn the_key_is_found_in_heads_that_no_parser_takes() {
    let long = format!("GET / HTTP/1.1\r\ncookie: {}\r\nx-byway-key: pr-1\r\n\r\n", "x".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\n{}x-byway-key: pr-1\r\n\r\n", "a: b\r\n".repeat(5000));
    for head in [
        "GET / HTTP/1.1\r\nx-byway-key: pr-1\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\nx-byway-key: pr-1\n\n",
        "GET / HTTP/1.1\r\r\nx-byway-key: pr-1\r\r\n\r\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nx-byway-key: pr-1\r\n\r\n",
        "GET / HTTP/1.1\r\nx-byway-key :\t pr-1 \r\n\r\n",
        "GET / HTTP/1.1\r\nx-byway-key:\r\n pr-1\r\n\r\n",
        "GET / HTTP/1.1\r\na: b\rx-byway-key: pr-1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\0: \0\r\n\u{e9}: x\r\nx-byway-key: pr-1\r\n\r\n",
        "GET / HTTP/3.7\r\nbaggage: byway-key=pr-1\r\n\r\n",
        "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\ncookie: byway-key=pr-1\r\n\r\n",
        &long,
        &many,
    ] {
        assert_eq!(found(&[head.as_bytes()]), ["GET / pr-1"], "{:?}", &head[..head.len().min(100)]);
    }
    let spaces = "DELETE /a b?c HTTP/1.1\r\nx-byway-key: pr-1\r\n\r\n";
    assert_eq!(found(&[spaces.as_bytes()]), ["DELETE /a b pr-1"]);
}

#[test]
fn a_head_begins_with_a_piece_or_behind_one_without_a_body() {
    let get = "GET /1 HTTP/1.1\r\nx-byway-key: a\r\n\r\nGET /2 HTTP/1.1\r\nx-byway-key: b\r\n\r\n";
    assert_eq!(found(&[get.as_bytes()]), ["GET /1 a", "GET /2 b"]);
    let post = "POST / HTTP/1.1\r\nx-byway-key: a\r\nContent_Length: 40\r\n\r\n";
    let body = "GET /in-the-body HTTP/1.1\r\nx-byway-key: b\r\n\r\n";
    assert_eq!(found(&[format!("{post}{body}").as_bytes()]), ["POST / a"]);
    assert_eq!(
        found(&[post.as_bytes(), b"{ }", b"GET / HTTP/1.1\r\nx-byway-key: c\r\n\r\n"]),
        ["POST / a", "GET / c"]
    );
    assert_eq!(found(&[b"\x16\x03\x01\n\nGET / HTTP/1.1\r\nx-byway-key: a\r\n\r\n"]), [""; 0]);
}

#[test]
fn half_a_key_is_none() {
    let cookie =
        format!("GET / HTTP/1.1\r\ncookie: byway-key=pr-1; {}; byway-key=pr-2\r\n\r\n", "x".repeat(70_000));
    assert_eq!(found(&[cookie.as_bytes()]), ["GET / pr-1"]);
    for len in 0..40 {
        let value = format!("a={}; byway-key=pr-1-and-more", "x".repeat(MAX_KEPT / 2 - len));
        let head = format!("GET / HTTP/1.1\r\ncookie: {value}\r\n\r\n");
        let key = found(&[head.as_bytes()]).remove(0);
        assert!(["GET / -", "GET / pr-1-and-more"].contains(&&*key), "{key}");
    }
}

#[test]
fn only_what_is_asked_for_is_kept() {
    let mut scan = LooseScan::default();
    let head = format!("GET / HTTP/1.1\r\ncookie: {}\r\nx-byway-key: pr-1\r\n", "x".repeat(300_000));
    scan.look(head.as_bytes(), |name| name == "x-byway-key", |_| panic!("it has not ended"));
    let State::Head(head) = &scan.state else { panic!("{scan:?}") };
    assert_eq!(head.kept, "x-byway-keypr-1".len());
    scan.look(b"GET / HTTP/1.1 and no end of it", |_| true, |_| {});
    scan.look(&[b'x'; 300_000], |_| true, |_| {});
    assert!(scan.line.len() <= MAX_LINE);
    scan.look(&[0; 300_000], |_| true, |_| {});
}

proptest! {
    #[test]
    fn however_a_head_is_cut_it_is_found(cuts in prop::collection::vec(1_usize..60, 0..20)) {
        let head: &[u8] = b"\r\nGET /a HTTP/1.1\r\nhost: a\r\nx-byway-key:\n pr-1\r\nbad line\r\ncontent-length: 1\r\n\r\n";
        let (mut pieces, mut rest) = (Vec::new(), head);
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(rest);
        prop_assert_eq!(found(&pieces), ["GET /a pr-1"]);
    }

    #[test]
    fn no_bytes_are_too_odd(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        found(&pieces);
    }

    #[test]
    fn nor_is_text(text in "(GET|PUT| |/|HTTP/1.1|:|x-byway-key|pr-1|\r|\n|\t|PROXY ){0,40}") {
        found(&[text.as_bytes()]);
    }
}
