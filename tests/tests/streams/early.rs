//! Answers that begin, or are complete, before the body of their request has ended.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use byway_tests::{End, Http, Raw};
use socket2::SockRef;

use crate::{SIDES, SOON, Side, Stage, until};

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

#[test]
fn both_ways_are_open_at_once() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    let mut line = servers.line(&stage);
    for side in [SIDES, SIDES].concat() {
        line.ask(&servers, side, &side.head("POST", CHUNKED));
        line.say_head(side, &format!("HTTP/1.1 200 OK\r\n{CHUNKED}\r\n"));
        for n in 0..50 {
            let chunk = format!("{:x}\r\n{}\r\n", n + 1, "x".repeat(n + 1));
            line.tell(side, &chunk);
            line.say(side, &chunk);
        }
        // The request ends first, then the answer.
        line.tell(side, "0\r\n\r\n");
        line.say(side, "4\r\nlast\r\n0\r\n\r\n");
        line.exchange(&servers, side.other());

        line.ask(&servers, side, &side.head("POST", "content-length: 500\r\n"));
        line.say_head(side, "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n");
        for _ in 0..50 {
            line.tell(side, "0123456789");
            line.say(side, "0123456789");
        }
        line.exchange(&servers, side.other());
    }
}

/// Node answers so, and so does every server that needs not see the body.
#[test]
fn a_server_that_has_answered_still_gets_the_rest_of_the_body() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    let mut line = servers.line(&stage);
    for side in [SIDES, SIDES].concat() {
        for (framing, end) in [(CHUNKED, "5\r\nabcde\r\n0\r\n\r\n"), ("content-length: 15\r\n", "0123456789")]
        {
            line.ask(&servers, side, &side.head("POST", framing));
            line.tell(side, "5\r\nab");
            line.say_head(side, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n");
            line.say(side, "no");
            line.tell(side, if framing == CHUNKED { "cde\r\n" } else { "" });
            line.tell(side, end);
            line.exchange(&servers, side.other());
            line.exchange(&servers, side);
        }
    }
}

#[test]
fn a_server_that_answers_and_closes_is_heard_by_a_client_that_still_sends() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n";
    for side in SIDES {
        // With a word about it, without one, and with the close a while after the answer.
        for (more, later) in [("connection: close\r\n", false), ("", false), ("", true)] {
            let mut line = servers.line(&stage);
            line.ask(&servers, side, &side.head("POST", "content-length: 1000000\r\n"));
            line.tell(side, "some of it");
            line.server(side).send(format!("{answer}{more}\r\nno")).unwrap();
            if later {
                assert!(until(&mut line.client, "\r\n\r\nno").starts_with("HTTP/1.1 413 Too Large\r\n"));
                line.tell(side, "some more");
                line.server(side).finish().unwrap();
                assert_eq!(line.client.receive(SOON).end, End::Fin, "{side:?}");
                continue;
            }
            line.server(side).finish().unwrap();
            let received = line.client.receive(SOON);
            assert!(received.bytes.ends_with(b"\r\n\r\nno"), "{side:?} {more}: {received:?}");
            assert_eq!(received.end, End::Fin, "{side:?} {more}");
        }
    }
}

/// The body looks like requests. What of it the preview has not taken yet when it answers must not become the app's.
#[test]
fn the_rest_of_a_body_never_reaches_another_server() {
    let Some(stage) = Stage::new() else { return };
    let listen = |pod: &byway_tests::Pod| pod.run(|| TcpListener::bind(("::", crate::PORT))).unwrap();
    let (app, preview) = (listen(&stage.app), listen(&stage.preview));
    // Little room, so that a body is soon more than fits in between.
    SockRef::from(&preview).set_recv_buffer_size(16 * 1024).unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let note = seen.clone();
    thread::spawn(move || app.incoming().for_each(|stream| answer_get(stream.unwrap(), &note)));
    thread::spawn(move || {
        for stream in preview.incoming() {
            thread::spawn(move || answer_early(stream.unwrap()));
        }
    });
    let _agent = stage.agent();
    let line = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    // Somewhere among these is the length of which the agent has read all and sent on a part.
    for length in (32..1000).step_by(8).map(|kib| kib * 1024) {
        let body: Vec<u8> = line.bytes().cycle().take(length).collect();
        let mut raw = stage.connect();
        let head = Side::Preview.head("POST", &format!("content-length: {length}\r\n"));
        let mut sender = Raw::new(raw.stream().try_clone().unwrap()).unwrap();
        let sending = thread::spawn(move || sender.send([head.as_bytes(), &body].concat()));
        assert!(until(&mut raw, "early").ends_with("\r\n\r\nearly"), "{length}");
        sending.join().unwrap().unwrap_or_else(|e| panic!("{length}: {e}"));
        let mut http = Http::new(raw.stream().try_clone().unwrap());
        let answer = http.get("/app", &[]).unwrap_or_else(|e| panic!("{length}: {e:#}"));
        assert_eq!(answer.text(), "app", "{length}");
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert!(seen.starts_with("GET /app HTTP/1.1\r\n") && !seen.contains("smuggled"), "{length}: {seen}");
    }
}

/// Answers one request, and notes what it was.
fn answer_get(stream: TcpStream, seen: &Mutex<String>) {
    let mut raw = Raw::new(stream).unwrap();
    let text = until(&mut raw, "\r\n\r\n");
    seen.lock().unwrap().push_str(&text);
    let _ = raw.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\napp");
}

/// Answers before it has read the body, and reads all of it then.
fn answer_early(mut stream: TcpStream) {
    let mut byte = [0];
    while stream.peek(&mut byte).is_ok_and(|n| n == 0) {}
    thread::sleep(Duration::from_millis(30));
    let mut raw = Raw::new(stream.try_clone().unwrap()).unwrap();
    let _ = raw.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly");
    thread::sleep(Duration::from_millis(20));
    let mut buffer = vec![0; 64 * 1024];
    while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
}
