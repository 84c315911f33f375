//! Keyed requests that go to the app since they cannot be read beyond doubt: each is told to the preview, with why.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use byway_tests::{Agent, eventually};
use serde_json::Value;

use crate::{GET, GET_KEYED, KEYED, NAME, SOON, Stage, server, until};

/// What the agent tells of the preview.
fn lost(agent: &Agent) -> BTreeMap<String, u64> {
    let status: Value = serde_json::from_slice(&agent.get("/status").unwrap().body).unwrap();
    let told = status["requests"].as_array().cloned().unwrap_or_default();
    let told = told.iter().find(|it| it["preview"] == NAME).map(|it| it["lost"].clone());
    told.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default()
}

/// Whatever it reads, it says that it was the app: as a server that takes what the agent does not.
fn forgiving(stage: &Stage, answer: &'static str) {
    let listener = server::listen(&stage.app);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = vec![0; 1 << 20];
                while let Ok(1..) = stream.read(&mut buffer) {
                    // What comes in pieces is one request.
                    thread::sleep(Duration::from_millis(100));
                    stream.set_nonblocking(true).unwrap();
                    while let Ok(1..) = stream.read(&mut buffer) {}
                    stream.set_nonblocking(false).unwrap();
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nAPP";

#[test]
fn a_request_in_doubt_is_told_with_its_reason() {
    let Some(stage) = Stage::new() else { return };
    forgiving(&stage, ANSWER);
    server::named(&stage.preview, "PREVIEW");
    let agent = stage.agent();
    let cookie = "x".repeat(70_000);
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\nx-byway-key: pr-1\r\n\r\n");
    let both = "content-length: 5\r\ntransfer-encoding: chunked\r\n";
    let deletes = format!("DELETE /orders/7 HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n{both}\r\n0\r\n\r\n");
    let cases = [
        ("BothLengths", deletes.as_str()),
        ("HeadTooLong", &long),
        ("BareLf", "GET / HTTP/1.1\nhost: a\nx-byway-key: pr-1\n\n"),
        ("ObsFold", "GET / HTTP/1.1\r\nhost: a\r\nx-byway-key:\r\n pr-1\r\n\r\n"),
        ("NulByte", "GET / HTTP/1.1\r\nhost: a\0\r\nbaggage: a=b,byway-key=pr-1\r\n\r\n"),
        (
            "LookalikeHeader",
            "GET / HTTP/1.1\r\nhost: a\r\ncontent_length: 0\r\ncookie: byway-key=pr-1\r\n\r\n",
        ),
        (
            "NotHttp",
            "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n\r\n",
        ),
    ];
    for (n, (code, request)) in cases.into_iter().enumerate() {
        let mut raw = stage.raw();
        raw.send(request).unwrap();
        assert_eq!(until(&mut raw, "APP"), ANSWER, "{code}");
        let told = eventually(SOON, || (lost(&agent).get(code) == Some(&1)).then_some(()));
        assert!(told.is_some(), "{code}: {:?}", lost(&agent));
        assert_eq!(lost(&agent).len(), n + 1);
    }
    // One without the key, with another one, or with too much of it, is nobody's loss.
    for key in ["", "x-byway-key: pr-2\r\n", "x-byway-key: pr-12\r\n"] {
        let mut raw = stage.raw();
        raw.send(format!("GET / HTTP/1.1\r\n{key}{both}\r\n")).unwrap();
        assert_eq!(until(&mut raw, "APP"), ANSWER);
    }
    assert!(stage.http().get("/", KEYED).unwrap().text().starts_with("PREVIEW"));
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(lost(&agent).values().sum::<u64>(), cases.len() as u64, "{:?}", lost(&agent));
    assert!(Agent::debug_routes().contains("7 lost"), "{}", Agent::debug_routes());
}

#[test]
fn so_is_each_later_one_on_its_connection() {
    let Some(stage) = Stage::new() else { return };
    forgiving(&stage, ANSWER);
    let agent = stage.agent();
    let mut raw = stage.raw();
    raw.send("GET / HTTP/1.1\nhost: a\n\n").unwrap();
    assert_eq!(until(&mut raw, "APP"), ANSWER);
    for _ in 0..3 {
        raw.send(GET_KEYED).unwrap();
        assert_eq!(until(&mut raw, "APP"), ANSWER);
        raw.send(GET).unwrap();
        assert_eq!(until(&mut raw, "APP"), ANSWER);
    }
    // Its head comes in pieces, and its body is none of a request.
    raw.send_pieces(
        ["POST / HTTP/1.1\r\nhost: a\r\nx-byw", "ay-key: pr-1\r\ncontent-length: 70\r\n\r\n"],
        PAUSE,
    )
    .unwrap();
    raw.send(GET_KEYED).unwrap();
    assert_eq!(until(&mut raw, "APP"), ANSWER);
    let debug = || Agent::debug_routes().contains("5 lost").then_some(());
    assert!(eventually(SOON, debug).is_some(), "{}", Agent::debug_routes());
    assert_eq!(lost(&agent).into_keys().collect::<Vec<_>>(), ["BareLf"]);
}

const PAUSE: Duration = Duration::from_millis(30);

#[test]
fn and_those_behind_an_answer_that_cannot_be_read() {
    let Some(stage) = Stage::new() else { return };
    const ODD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nAPP";
    forgiving(&stage, ODD);
    server::named(&stage.preview, "PREVIEW");
    let agent = stage.agent();
    let mut raw = stage.raw();
    raw.send(GET).unwrap();
    assert_eq!(until(&mut raw, "APP"), ODD);
    raw.send(GET_KEYED).unwrap();
    if Agent::goes_straight() {
        // The agent has not seen the answer, and however it is read, nothing more of it comes.
        assert!(until(&mut raw, "#0.0").contains("PREVIEW GET /keyed"), "{}", agent.log());
        return;
    }
    assert_eq!(until(&mut raw, "APP"), ODD);
    let told = eventually(SOON, || lost(&agent).into_iter().next());
    assert_eq!(told, Some(("ResponseFraming".to_owned(), 1)), "{}", agent.log());
}

#[test]
fn a_slow_head_is_one_too() {
    let Some(stage) = Stage::new() else { return };
    forgiving(&stage, ANSWER);
    let agent = stage.agent();
    let mut raw = stage.raw();
    raw.send("GET / HTTP/1.1\r\nhost: a\r\nx-byw").unwrap();
    thread::sleep(Duration::from_secs(6));
    raw.send("ay-key: pr-1\r\n\r\n").unwrap();
    assert!(until(&mut raw, "APP").ends_with(ANSWER));
    let told = eventually(SOON, || lost(&agent).into_iter().next());
    assert_eq!(told, Some(("SlowHead".to_owned(), 1)));
}
