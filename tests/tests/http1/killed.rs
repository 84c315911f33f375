//! The agent is killed: whoever was in an exchange sees a reset, on both sides. An end in order would make a body that
//! ends with its connection look whole.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use byway_tests::{Agent, End, Pod, Raw};

use crate::{SOON, Stage, server};

const KILLS: usize = 5;

const SILENT: &str = "";
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-le";
const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nthe beginning";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nlooks whole at any point";
const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhi";
/// Both sides' SETTINGS, and a stream that nobody answers (RFC 9113, 3.4 and 4.1).
const HTTP2: &str = "\0\0\0\x04\0\0\0\0\0";
const HTTP2_CLIENT: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";

/// Answers each connection with what its first bytes ask for, says nothing more, and tells how it ended.
fn stuck(pod: &Pod) -> Receiver<(String, End)> {
    let listener = server::listen(pod);
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut client = Raw::new(stream).unwrap();
                let is_head = |bytes: &[u8]| bytes.windows(4).any(|it| it == b"\r\n\r\n");
                let asked = client.receive_until(SOON, is_head).bytes;
                let asked = String::from_utf8_lossy(&asked).into_owned();
                let answer = ANSWERS.iter().find(|(path, _)| asked.contains(path)).map(|(_, answer)| *answer);
                // Between two requests, or dialled and never asked.
                let Some(answer) = answer else { return };
                client.send(answer).unwrap();
                let end = client.receive(SOON).end;
                let _ = tell.send((asked, end));
            });
        }
    });
    told
}

const ANSWERS: &[(&str, &str)] = &[
    ("/silent", SILENT),
    ("/head", HEAD),
    ("/length", LENGTH),
    ("/chunked", CHUNKED),
    ("/until-close", UNTIL_CLOSE),
    ("/upgraded", UPGRADED),
    ("PRI * HTTP/2.0", HTTP2),
];

/// Whether a request without a key, with this answer, is one that the agent serves.
fn is_served(answer: &str) -> bool {
    !Agent::goes_straight() || [UPGRADED, HTTP2].contains(&answer)
}

#[test]
fn whoever_was_in_an_exchange_sees_a_reset() {
    let Some(stage) = Stage::new() else { return };
    let (app, preview) = (stuck(&stage.app), stuck(&stage.preview));
    let served = ANSWERS.iter().filter(|(_, answer)| is_served(answer)).count();
    for kill in 0..KILLS {
        let mut agent = stage.agent();
        let mut clients = Vec::new();
        for (path, answer) in ANSWERS {
            for key in ["", "x-byway-key: pr-1\r\n"] {
                let mut raw = stage.raw();
                let is_http2 = *answer == HTTP2;
                if is_http2 && !key.is_empty() {
                    continue; // its key would have to be packed
                }
                if key.is_empty() && !is_served(answer) {
                    continue;
                }
                if is_http2 {
                    raw.send(HTTP2_CLIENT).unwrap();
                } else {
                    let upgrade = "connection: upgrade\r\nupgrade: echo\r\n";
                    let upgrade = if *answer == UPGRADED { upgrade } else { "" };
                    raw.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n{upgrade}{key}\r\n")).unwrap();
                }
                clients.push((*path, key, raw));
            }
        }
        // All of them are where they are to be.
        thread::sleep(Duration::from_millis(300));
        agent.sigkill();
        for (path, key, client) in &mut clients {
            let end = client.receive(SOON);
            let said = String::from_utf8_lossy(&end.bytes);
            assert_eq!(end.end, End::Reset, "kill {kill}: the client of {path} {key:?} after {said:?}");
        }
        for (servers, told, wanted) in [("app", &app, served), ("preview", &preview, ANSWERS.len() - 1)] {
            for _ in 0..wanted {
                let (asked, end) = told.recv_timeout(SOON).expect("each connection ends");
                assert_eq!(end, End::Reset, "kill {kill}: the {servers} that was asked {asked:?}");
            }
        }
    }
}
