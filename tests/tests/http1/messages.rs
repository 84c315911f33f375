//! Every kind of message, to and from the preview.

use std::io::Write;
use std::time::Duration;

use byway_tests::{End, Preview};

use crate::{GET, GET_KEYED, KEYED, SOON, Stage, server, until};

/// The preview answers each path with what is listed for it; the app says its name.
fn stage_with(answers: &'static [(&'static str, &'static str)]) -> Option<Stage> {
    let stage = Stage::new()?;
    server::named(&stage.app, "APP");
    server::serve(&stage.preview, move |request, stream| {
        let answer = answers.iter().find(|(path, _)| *path == request.path);
        answer.is_some_and(|(_, answer)| stream.write_all(answer.as_bytes()).is_ok())
    });
    Some(stage)
}

#[test]
fn answers_without_a_body_do_not_lose_the_next_one() {
    let Some(stage) = stage_with(&[
        ("/204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("/304", "HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n"),
        ("/head", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"),
        (
            "/hints",
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ),
    ]) else {
        return;
    };
    let _agent = stage.agent();
    let mut http = stage.http();
    for _ in 0..3 {
        for (method, path, status) in
            [("GET", "/204", 204), ("GET", "/304", 304), ("HEAD", "/head", 200), ("GET", "/hints", 200)]
        {
            let keyed = http.request(method, path, KEYED, b"").unwrap();
            assert_eq!((keyed.status, keyed.header("x-byway-preview")), (status, Some(crate::NAME)));
            assert!(http.get("/", &[]).unwrap().text().starts_with("APP"));
        }
    }
}

#[test]
fn chunks_and_trailers_arrive_as_they_were_sent() {
    const ANSWER: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: u\r\nV: w\r\n\r\n";
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let listener = server::listen(&stage.preview);
    let _agent = stage.agent();
    let request = "POST / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\ntransfer-encoding: chunked\r\n\r\n\
                   3;a\r\nabc\r\n0\r\nt: u\r\n\r\n";
    let mut raw = stage.raw();
    raw.send_pieces(request.as_bytes().chunks(4), Duration::from_millis(1)).unwrap();
    let mut preview = byway_tests::Raw::new(listener.accept().unwrap().0).unwrap();
    assert_eq!(until(&mut preview, "t: u\r\n\r\n"), request, "the preview gets the request as it was sent");
    preview.send_pieces(ANSWER.as_bytes().chunks(4), Duration::from_millis(1)).unwrap();
    let expected = ANSWER.replacen("OK\r\n", "OK\r\nx-byway-preview: staging/redesign\r\n", 1);
    assert_eq!(until(&mut raw, "V: w\r\n\r\n"), expected, "the client gets one header more");
    raw.send(GET).unwrap();
    assert!(until(&mut raw, "#0.0").contains("APP GET /app"));
}

#[test]
fn expect_continue_goes_to_the_preview() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let mut raw = stage.raw();
    for n in 0..2 {
        raw.send("PUT / HTTP/1.1\r\nx-byway-key: pr-1\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
            .unwrap();
        assert_eq!(until(&mut raw, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        raw.send("body").unwrap();
        assert!(until(&mut raw, &format!("#0.{n}")).contains("PREVIEW PUT / 4"));
    }
}

#[test]
fn the_header_of_the_preview_can_be_turned_off() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent_with(stage.preview().with(|p| p.response_header = false));
    let mut raw = stage.raw();
    raw.send(GET_KEYED).unwrap();
    let text = "PREVIEW GET /keyed 0 #0.0";
    assert_eq!(
        until(&mut raw, "#0.0"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
    );
}

#[test]
fn a_keyed_request_that_asks_to_close_is_the_last() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let mut raw = stage.raw();
    raw.send(GET_KEYED.replace("host: a", "connection: close")).unwrap();
    let received = raw.receive(SOON);
    assert!(received.bytes.ends_with(b"PREVIEW GET /keyed 0 #0.0"), "{received:?}");
    assert_eq!(received.end, End::Fin);
}

#[test]
fn an_answer_may_end_with_its_connection() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    server::serve(&stage.preview, |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end").unwrap();
        false
    });
    let _agent = stage.agent();
    let mut raw = stage.raw();
    raw.send(GET_KEYED).unwrap();
    let received = raw.receive(SOON);
    assert!(received.bytes.ends_with(b"\r\n\r\nto the end"), "{received:?}");
    assert_eq!(received.end, End::Fin);
}

#[test]
fn a_client_may_half_close_behind_its_request() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let mut raw = stage.raw();
    raw.send([GET, GET_KEYED, GET].concat()).unwrap();
    raw.finish().unwrap();
    let received = raw.receive(SOON);
    let text = String::from_utf8_lossy(&received.bytes).into_owned();
    let app = server::first_served();
    let first = text.contains(&format!("APP GET /app 0 #{app}.0"));
    assert!(first && text.contains("PREVIEW GET /keyed 0 #0.0"), "{text}");
    assert!(text.ends_with(&format!("APP GET /app 0 #{app}.1")), "{text}");
    assert_eq!(received.end, End::Fin);
}

#[test]
fn backends_take_turns_and_one_that_refuses_is_skipped() {
    let Some(stage) = Stage::named() else { return };
    let dead = stage.net.pod("dead").unwrap();
    let preview =
        Preview::new(crate::NAME, "pr-1").backend(&stage.preview).backend(&dead).backend(&stage.other);
    let _agent = stage.agent_with(preview);
    let mut count = std::collections::BTreeMap::new();
    for _ in 0..30 {
        let text = stage.http().get("/", KEYED).unwrap().text();
        *count.entry(text.split(' ').next().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(count.values().sum::<i32>(), 30);
    assert!(count["PREVIEW"] >= 10 && count["OTHER"] >= 10, "{count:?}");
}
