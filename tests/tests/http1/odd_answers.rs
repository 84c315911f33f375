//! Answers that are not as they should be, from the preview: the client gets them, whatever they are.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use byway_tests::{Agent, End, Http, Raw};

use crate::{GET, GET_KEYED, KEYED, NAME, SOON, Stage, server, until};

const NAMED: &str = "x-byway-preview: staging/redesign\r\n";
const CLOSE: &str = "connection: close\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";

/// A preview that says what the test tells it.
struct Told {
    stage: Stage,
    preview: TcpListener,
    _agent: Agent,
}

impl Told {
    fn new() -> Option<Self> {
        let stage = Stage::new()?;
        server::named(&stage.app, "APP");
        let (preview, agent) = (server::listen(&stage.preview), stage.agent());
        Some(Self { stage, preview, _agent: agent })
    }

    /// A client whose keyed request has reached the preview, and that one's end.
    fn asked(&self, request: &str) -> (Raw, Raw) {
        let mut client = self.stage.raw();
        client.send(request).unwrap();
        let mut preview = Raw::new(self.preview.accept().unwrap().0).unwrap();
        assert_eq!(until(&mut preview, "\r\n\r\n"), request);
        (client, preview)
    }
}

/// The answer with these lines behind its first one.
fn with(answer: &[u8], lines: &str) -> Vec<u8> {
    let begin = answer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let line = begin + answer[begin..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    [&answer[..line], lines.as_bytes(), &answer[line..]].concat()
}

/// What all clients read alike, or not at all.
#[test]
fn the_connection_goes_on_behind_what_all_read_alike() {
    let Some(told) = Told::new() else { return };
    let lines = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    let five = "content-length: 5\r\n";
    let answers = [
        lines(&five.repeat(2)) + "hello",
        lines("content-length: 5\r\ncontent-length: 05\r\n") + "hello",
        lines("content-length:\t 5 \r\n") + "hello",
        lines("transfer-encoding:\tchunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        lines(&"transfer-encoding: chunked\r\n".repeat(2)) + "5\r\nhello\r\n0\r\n\r\n",
        lines("transfer-encoding: chunked\r\n") + "5  \r\nhello\r\n0\t\r\n\r\n",
        lines("transfer-encoding: chunked\r\n") + "5 ;a=b\r\nhello\r\n0 \r\n\r\n",
        lines(&("set-cookie: a=b\r\n".repeat(140) + five)) + "hello",
        lines(&("set-cookie: a=b\r\n".repeat(3000) + five)) + "hello",
        lines(&(format!("x: {}\r\n", "a".repeat(70 << 10)) + five)) + "hello",
        lines(&(format!("x: {}\r\n", "a".repeat(200 << 10)) + five)) + "hello",
        lines(&(format!("x: a\u{1}\u{1b}[1m\u{7f}\r\ny[z]: {{\r\n{five}"))) + "hello",
        lines("content_length: 7\r\ncontent-length: 5\r\n") + "hello",
        "HTTP/1.1 200 OK\ncontent-length: 5\n\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nx: y\ncontent-length: 5\n\r\nhello".to_owned(),
        "HTTP/1.1 200\ntransfer-encoding: chunked\n\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 304 Not Modified\r\ncontent-length: no\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(),
    ];
    for answer in answers {
        let what = answer[..answer.len().min(80)].escape_default().to_string();
        for pieces in [1, 4] {
            let (mut client, mut preview) = told.asked(GET_KEYED);
            let size = answer.len().div_ceil(pieces);
            preview.send_pieces(answer.as_bytes().chunks(size), Duration::from_millis(5)).unwrap();
            let wanted = with(answer.as_bytes(), NAMED);
            let received = client.receive_exact(wanted.len(), SOON);
            assert!(received.bytes == wanted, "{what}: {}", received.bytes.escape_ascii());
            client.send(GET).unwrap();
            assert!(until(&mut client, ".0").contains("APP GET /app"), "{what}");
        }
    }
}

/// What clients read differently, in their own way each.
#[test]
fn the_connection_ends_with_the_server_behind_what_some_read_differently() {
    let Some(told) = Told::new() else { return };
    let lines = |lines: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}").into_bytes();
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let long = format!("x: {}\r\ncontent-length: 5\r\n", "a".repeat(300 << 10));
    let answers = [
        lines("content-length: 5\r\ntransfer-encoding: chunked\r\n", chunks),
        lines("content-length: 5\r\ncontent-length: 6\r\n", "hello"),
        lines("content-length: 5, 5\r\n", "hello"),
        lines("content-length: +5\r\n", "hello"),
        lines("transfer-encoding: chunked, chunked\r\n", chunks),
        lines("transfer-encoding: chunked\t\r\n", chunks),
        lines("transfer-encoding: gzip\r\n", "hello"),
        lines("transfer-encoding: identity\r\ncontent-length: 5\r\n", "hello"),
        lines("content-length : 5\r\n", "hello"),
        lines("x-a : b\r\ncontent-length: 5\r\n", "hello"),
        lines("PHP Warning\r\ncontent-length: 5\r\n", "hello"),
        lines("content-length: 5\r\n<br />\r\n", "hello"),
        lines("x: a\r\n b\r\ncontent-length: 5\r\n", "hello"),
        lines("x: a\rb\r\ncontent-length: 5\r\n", "hello"),
        lines("x: a\0b\r\ncontent-length: 5\r\n", "hello"),
        lines("x-\u{e9}: b\r\ncontent-length: 5\r\n", "hello"),
        lines(&long, "hello"),
        format!("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")
            .into(),
        format!("HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n{chunks}").into(),
        b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello".to_vec(),
        b"HTTP/1.1  200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec(),
        b"HTTP/1.2 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec(),
        b"http/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec(),
        b"HTTP/1.1 099 Odd\r\ncontent-length: 5\r\n\r\nhello".to_vec(),
        b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec(),
        b"ICY 200 OK\r\nicy-name: x\r\n\r\nhello".to_vec(),
        // Bad chunks, in the same segments as the head: it can still say so.
        lines("transfer-encoding: chunked\r\n", "5\nhello\n0\n\n"),
        lines("transfer-encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"),
    ];
    for answer in answers {
        let what = answer[..answer.len().min(80)].escape_ascii().to_string();
        let (mut client, mut preview) = told.asked(GET_KEYED);
        preview.send(&answer).unwrap();
        // All of it is there before the server ends: to the client it may be complete.
        let wanted = with(&answer, &[NAMED, CLOSE].concat());
        let received = client.receive_exact(wanted.len(), SOON);
        assert!(received.bytes == wanted, "{what}: {}", received.bytes.escape_ascii());
        preview.send("more").unwrap();
        preview.finish().unwrap();
        let rest = client.receive(SOON);
        assert_eq!((rest.bytes.as_slice(), rest.end), (&b"more"[..], End::Fin), "{what}");
    }
}

#[test]
fn a_client_that_asks_again_behind_such_an_answer_is_reset() {
    let Some(told) = Told::new() else { return };
    let (mut client, mut preview) = told.asked(GET_KEYED);
    preview.send([CHUNKED, "\r\n"].concat()).unwrap();
    until(&mut client, "\r\n\r\n");
    preview.send("5\nhello\r\n0\r\n\r\n").unwrap();
    assert_eq!(until(&mut client, "0\r\n\r\n"), "5\nhello\r\n0\r\n\r\n");
    client.send(GET).unwrap();
    let ended = client.receive(SOON);
    assert_eq!((ended.bytes.len(), ended.end), (0, End::Reset));
    assert_eq!(preview.receive(SOON).end, End::Reset);
}

#[test]
fn a_client_that_is_done_with_such_an_answer_is_done_with_its_server() {
    let Some(told) = Told::new() else { return };
    let (mut client, mut preview) = told.asked(GET_KEYED);
    preview.send("HTTP/1.1 200 OK\r\na line\r\ncontent-length: 5\r\n\r\nhello").unwrap();
    until(&mut client, "hello");
    drop(client);
    assert_eq!(preview.receive(SOON).end, End::Fin);
}

#[test]
fn a_head_that_is_cut_off_is_what_the_client_makes_of_it() {
    let Some(told) = Told::new() else { return };
    for head in
        ["HTTP/1.0 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 204 No Content\r\na: b\r\n"]
    {
        let (mut client, mut preview) = told.asked(GET_KEYED);
        preview.send(head).unwrap();
        preview.finish().unwrap();
        let received = client.receive(SOON);
        assert_eq!(received.bytes, with(head.as_bytes(), &[NAMED, CLOSE].concat()));
        assert_eq!(received.end, End::Fin);
    }
}

#[test]
fn a_reset_is_no_end_of_an_answer() {
    let Some(told) = Told::new() else { return };
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\na line\r\n\r\n"] {
        let (mut client, mut preview) = told.asked(GET_KEYED);
        preview.send(head).unwrap();
        preview.send("hel").unwrap();
        assert!(until(&mut client, "hel").ends_with("\r\n\r\nhel"));
        preview.reset().unwrap();
        assert_eq!(client.receive(SOON).end, End::Reset, "{head}");
    }
}

#[test]
fn what_is_no_answer_is_said_to_be_none() {
    let Some(told) = Told::new() else { return };
    let cases = [
        ("SSH-2.0-OpenSSH_9.2\r\n", false, "not-http1", r#"begins with "SSH-2.0-OpenSSH_9.2\r\n""#),
        ("\x15\x03\x01\0\x02\x02\x46", false, "not-http1", "speaks TLS only"),
        ("<html>", false, "not-http1", r#"begins with "<html>""#),
        ("\0\0\0\x04\0\0\0\0\0", false, "not-http1", "speaks HTTP/2 only"),
        ("", true, "no-answer", "closed the connection without an answer"),
        ("HTT", true, "no-answer", "closed the connection without an answer"),
    ];
    for (said, closes, code, words) in cases {
        let (client, mut preview) = told.asked(GET_KEYED);
        preview.send(said).unwrap();
        if closes {
            preview.finish().unwrap();
        }
        let answer = Http::new(client.stream().try_clone().unwrap()).response("GET").unwrap();
        assert_eq!((answer.status, answer.header("x-byway-error")), (502, Some(code)));
        let text = answer.text();
        assert!(text.contains(&format!("preview {NAME} ")) && text.contains(words), "{text}");
        assert!(!text.contains("reached"), "{text}");
    }
}

/// Whether the body follows is the client's choice, so nobody knows what comes behind the answer.
#[test]
fn an_answer_ahead_of_an_expected_body_is_the_last_one() {
    let Some(told) = Told::new() else { return };
    let put = GET_KEYED
        .replace("GET", "PUT")
        .replace("\r\n\r\n", "\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n");
    let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nno";
    let (mut client, mut preview) = told.asked(&put);
    preview.send(answer).unwrap();
    let received = client.receive(SOON);
    assert_eq!(received.bytes, with(answer.as_bytes(), &[NAMED, CLOSE].concat()));
    assert_eq!(received.end, End::Fin);
    // Told to send it, or sending it unasked, the client sends all of it.
    for told_to in [true, false] {
        let (mut client, mut preview) = told.asked(&put);
        if told_to {
            preview.send("HTTP/1.1 100 Continue\r\n\r\n").unwrap();
            until(&mut client, "\r\n\r\n");
        }
        client.send("bo").unwrap();
        assert_eq!(until(&mut preview, "bo"), "bo");
        preview.send(answer).unwrap();
        let wanted = with(answer.as_bytes(), NAMED);
        assert_eq!(client.receive_exact(wanted.len(), SOON).bytes, wanted, "{told_to}");
        client.send("dy").unwrap();
        assert_eq!(until(&mut preview, "dy"), "dy");
        client.send(GET).unwrap();
        assert!(until(&mut client, ".0").contains("APP GET /app"), "{told_to}");
    }
}

/// What servers take, though some refuse it, is decided like any other request.
#[test]
fn odd_requests_do_not_take_the_connection_from_those_behind_them() {
    let Some(stage) = Stage::named() else { return };
    let agent = stage.agent();
    let targets: [&[u8]; 10] = [
        b"/a?q=`b`",
        b"/a?q=\"b\"",
        b"/a?q=<b>",
        b"/a?q={b}|c^d\\e[f]",
        b"/\xc3\xa9?\xf0\x9f\x98\x80",
        b"/\xe9?\xff",
        b"/a#b",
        b"/%zz%",
        b"http://u:p@a/b",
        b"a/b",
    ];
    let mut http = stage.http();
    for target in targets {
        for key in ["", "x-byway-key: pr-1\r\n"] {
            let value = "x: \u{1}\u{1b}[1m\u{7f}\u{e9}\r\n";
            let request =
                [b"GET ", target, b" HTTP/1.1\r\nhost: a\r\n", value.as_bytes(), key.as_bytes(), b"\r\n"];
            http.send(&request.concat()).unwrap();
            let text = http.response("GET").unwrap().text();
            let who = if key.is_empty() { "APP" } else { "PREVIEW" };
            assert!(text.starts_with(&format!("{who} GET ")), "{}: {text}", target.escape_ascii());
            assert!(http.get("/", KEYED).unwrap().text().starts_with("PREVIEW"), "{}", target.escape_ascii());
        }
    }
    assert_eq!(agent.metric("byway_agent_connections_opaque_total", "").unwrap(), 0.0);
}

#[test]
fn a_word_about_close_reaches_the_client_once_all_of_the_head_has_come() {
    let Some(told) = Told::new() else { return };
    let (mut client, preview) = told.asked(GET_KEYED);
    let mut preview = preview.stream();
    preview.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    preview.write_all(b"no colon\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    preview.write_all(b"\r\nhello").unwrap();
    let wanted = with(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\nhello", &[NAMED, CLOSE].concat());
    assert_eq!(client.receive_exact(wanted.len(), SOON).bytes, wanted);
}
