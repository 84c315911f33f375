use super::*;
use crate::{RequestKind, header_space, parse_request};

/// As Java's client writes it.
const JAVA: &str = "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 0\r\nHost: a\r\n\
                    HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\nkey: 1\r\n\r\n";

fn plain(head: &str) -> String {
    String::from_utf8(without_offer(head.as_bytes())).unwrap()
}

fn settings(head: &str) -> Option<Vec<u8>> {
    offered(&parse_request(head.as_bytes(), &mut header_space()).unwrap())
}

#[test]
fn an_offer_is_read_and_taken_away() {
    let offered = settings(JAVA).unwrap();
    // SETTINGS_HEADER_TABLE_SIZE of 16384 is its first.
    assert_eq!((offered.len(), &offered[..6]), (30, &[0, 1, 0, 0, 0x40, 0][..]));
    assert_eq!(plain(JAVA), "GET / HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\nkey: 1\r\n\r\n");
    assert_eq!(settings(&plain(JAVA)), None);
}

#[test]
fn what_else_is_offered_stays() {
    let both = "GET / HTTP/1.1\r\nconnection: keep-alive,Upgrade , http2-settings\r\nupgrade: H2C\r\n\
                Upgrade: websocket\r\nhttp2-settings:\r\n\r\n";
    let left = "GET / HTTP/1.1\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\r\n";
    assert_eq!(plain(both), left);
    let mut space = header_space();
    let head = parse_request(left.as_bytes(), &mut space).unwrap();
    assert_eq!((head.kind, head.upgrade), (RequestKind::Upgrade { head: false }, true));
    let one_line = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: foo/2, h2c\r\n\r\n";
    assert_eq!(plain(one_line), "GET / HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: foo/2\r\n\r\n");
}

#[test]
fn only_an_upgrade_to_it_is_an_offer() {
    assert_eq!(settings("GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"), None);
    assert_eq!(settings("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2\r\n\r\n"), None);
    assert_eq!(settings("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"), Some(Vec::new()));
    let padded =
        "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAAABAAQ=\r\n\r\n";
    assert_eq!(settings(padded).unwrap().len(), 8);
    let broken = "HEAD / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: ???\r\n\r\n";
    assert_eq!(settings(broken), Some(Vec::new()));
}

#[test]
fn an_answer_takes_it_by_name() {
    let answer =
        |line: &str| is_taken(format!("HTTP/1.1 101 S\r\nConnection: Upgrade\r\n{line}\r\n\r\n").as_bytes());
    assert!(answer("Upgrade: h2c") && answer("upgrade:H2C"));
    assert!(!answer("Upgrade: websocket") && !answer("x-upgrade: h2c"));
}
