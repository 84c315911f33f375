//! Connections that end while a keyed request is away.

use std::thread;
use std::time::Duration;

use byway_tests::{Agent, End, Raw};

use crate::{GET, GET_KEYED, SOON, Stage, server, until};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const POST: &str = "POST / HTTP/1.1\r\nx-byway-key: pr-1\r\ncontent-length: 3000000\r\n\r\n";

fn accept(listener: &std::net::TcpListener) -> Raw {
    Raw::new(listener.accept().unwrap().0).unwrap()
}

#[test]
fn what_is_away_comes_back_though_the_app_has_closed() {
    let Some(stage) = Stage::new() else { return };
    let (app, preview) = (server::listen(&stage.app), server::listen(&stage.preview));
    let _agent = stage.agent();
    let mut raw = stage.raw();
    raw.send(GET_KEYED).unwrap();
    let (app, mut preview) = (server::served(&app), accept(&preview));
    assert_eq!(until(&mut preview, GET_KEYED), GET_KEYED);
    drop(app);
    thread::sleep(Duration::from_millis(100));
    preview.send(OK).unwrap();
    let received = raw.receive(SOON);
    assert!(received.bytes.ends_with(b"\r\n\r\nok"), "{received:?}");
    assert_eq!(received.end, End::Fin);
}

#[test]
fn what_is_away_comes_back_though_the_client_has_half_closed() {
    let Some(stage) = Stage::new() else { return };
    let (app, preview) = (server::listen(&stage.app), server::listen(&stage.preview));
    let _agent = stage.agent();
    let mut raw = stage.raw();
    raw.send(GET_KEYED).unwrap();
    raw.finish().unwrap();
    let (mut app, mut preview) = (server::served(&app), accept(&preview));
    assert_eq!(until(&mut preview, GET_KEYED), GET_KEYED);
    thread::sleep(Duration::from_millis(100));
    preview.send(OK).unwrap();
    assert!(until(&mut raw, "ok").ends_with("\r\n\r\nok"));
    assert_eq!(app.receive(SOON).end, End::Fin);
    drop(app);
    assert_eq!(raw.receive(SOON).end, End::Fin);
}

#[test]
fn a_client_that_resets_resets_both() {
    let Some(stage) = Stage::new() else { return };
    let (app, preview) = (server::listen(&stage.app), server::listen(&stage.preview));
    let _agent = stage.agent();
    for half_closed in [false, true] {
        let mut raw = stage.raw();
        raw.send(GET_KEYED).unwrap();
        let (mut app, mut preview) = (server::served(&app), accept(&preview));
        assert_eq!(until(&mut preview, GET_KEYED), GET_KEYED);
        if half_closed {
            raw.finish().unwrap();
            thread::sleep(Duration::from_millis(50));
        }
        raw.reset().unwrap();
        assert_ne!(preview.receive(SOON).end, End::Timeout);
        assert_ne!(app.receive(SOON).end, End::Timeout);
    }
}

#[test]
fn a_preview_that_dies_in_a_body_becomes_a_502() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let preview = server::listen(&stage.preview);
    let _agent = stage.agent();
    for reset in [false, true] {
        let mut raw = stage.raw();
        raw.send([POST.as_bytes(), &[b'x'; 100_000]].concat()).unwrap();
        let mut preview = accept(&preview);
        preview.receive_exact(1000, SOON);
        if reset {
            preview.reset().unwrap();
        } else {
            drop(preview);
        }
        let received = raw.receive(SOON);
        assert!(received.bytes.starts_with(b"HTTP/1.1 502 Bad Gateway\r\n"), "{received:?}");
        assert_eq!(received.end, End::Fin);
    }
}

#[test]
fn an_answer_before_a_reset_of_the_app_is_not_lost() {
    let Some(stage) = Stage::new() else { return };
    let (app, preview) = (server::listen(&stage.app), server::listen(&stage.preview));
    let _agent = stage.agent();
    let mut raw = stage.raw();
    raw.send(GET).unwrap();
    let listener = app;
    let mut app = accept(&listener);
    assert_eq!(until(&mut app, GET), GET);
    app.send(OK).unwrap();
    assert_eq!(until(&mut raw, OK), OK);
    raw.send(GET_KEYED).unwrap();
    if Agent::goes_straight() {
        app = accept(&listener); // the connection is the agent's from now on
    }
    let mut preview = accept(&preview);
    assert_eq!(until(&mut preview, GET_KEYED), GET_KEYED);
    app.reset().unwrap();
    thread::sleep(Duration::from_millis(100));
    preview.send(OK).unwrap();
    let received = raw.receive(SOON);
    assert!(received.bytes.ends_with(b"\r\n\r\nok"), "{received:?}");
    assert_eq!(received.end, End::Reset);
}

/// What comes behind a request that asks the app to close is no request, whatever it carries.
#[test]
fn nothing_is_asked_behind_a_request_that_closes() {
    let Some(stage) = Stage::new() else { return };
    let (app, preview) = (server::listen(&stage.app), server::listen(&stage.preview));
    let _agent = stage.agent();
    const CLOSES: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut raw = stage.raw();
    raw.send([CLOSES, GET_KEYED].concat()).unwrap();
    let mut app = server::served(&app);
    assert_eq!(until(&mut app, GET_KEYED), [CLOSES, GET_KEYED].concat());
    app.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").unwrap();
    drop(app);
    let received = raw.receive(SOON);
    assert!(received.bytes.ends_with(b"\r\n\r\nok"), "{received:?}");
    preview.set_nonblocking(true).unwrap();
    assert!(preview.accept().is_err(), "the preview was asked");
}
