//! What becomes a tunnel, and what belongs to a preview by its origin.

use std::process::Command;
use std::time::Duration;

use byway_tests::{Agent, End, Raw, eventually};
use jiff::Timestamp;
use serde_json::Value;

use crate::{GET, SOON, Stage, server, until};

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";

#[test]
fn an_upgrade_and_a_connect_tunnel_to_the_preview() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let listener = server::listen(&stage.preview);
    let _agent = stage.agent();
    let connect = "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\nx-byway-key: pr-1\r\n\r\n";
    let odd = SWITCH.replace(": ", " : ").replace("\r\n\r\n", "\r\na line\r\n\r\n");
    for (request, answer) in [(UPGRADE, SWITCH), (UPGRADE, &odd), (connect, "HTTP/1.1 200 OK\r\n\r\n")] {
        let mut raw = stage.raw();
        raw.send(GET).unwrap();
        assert!(until(&mut raw, ".0").contains("APP GET /app"));
        raw.send(request).unwrap();
        let mut preview = Raw::new(listener.accept().unwrap().0).unwrap();
        assert_eq!(until(&mut preview, "\r\n\r\n"), request);
        preview.send(format!("{answer}first")).unwrap();
        assert!(until(&mut raw, "first").contains("x-byway-preview: staging/redesign\r\n"));
        raw.send(GET).unwrap();
        assert_eq!(until(&mut preview, GET), GET, "nothing is read any more");
        raw.finish().unwrap();
        assert_eq!(preview.receive(SOON).end, End::Fin);
        preview.send("last").unwrap();
        drop(preview);
        let received = raw.receive(SOON);
        assert_eq!((received.bytes.as_slice(), received.end), (b"last".as_slice(), End::Fin));
    }
}

#[test]
fn a_refused_upgrade_is_an_answer_like_any_other() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let mut raw = stage.raw();
    raw.send([UPGRADE, GET].concat()).unwrap();
    let text = until(&mut raw, "APP GET /app 0 #0.0");
    assert!(text.contains("PREVIEW GET /ws 0 #0.0"), "{text}");
}

#[test]
fn a_tunnel_is_reset_when_either_end_is() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let listener = server::listen(&stage.preview);
    let _agent = stage.agent();
    for by_client in [true, false] {
        let mut raw = stage.raw();
        raw.send(UPGRADE).unwrap();
        let mut preview = Raw::new(listener.accept().unwrap().0).unwrap();
        until(&mut preview, "\r\n\r\n");
        preview.send(SWITCH).unwrap();
        until(&mut raw, "\r\n\r\n");
        let mut left = if by_client {
            raw.reset().unwrap();
            preview
        } else {
            preview.reset().unwrap();
            raw
        };
        assert_eq!(left.receive(SOON).end, End::Reset);
    }
}

#[test]
fn what_comes_from_the_environment_goes_to_its_preview() {
    let Some(stage) = Stage::new() else { return };
    let (app, preview) = (server::listen(&stage.app), server::listen(&stage.preview));
    let routes = stage.routes(stage.preview()).environment("pr-1", &[&stage.client]);
    let _agent = Agent::start(&stage.net, &routes).unwrap();
    for bytes in ["\x16\x03\x01\0\x05hello", "*1\r\n$4\r\nPING\r\n", GET] {
        let mut raw = stage.raw();
        raw.send(bytes).unwrap();
        let mut preview = Raw::new(preview.accept().unwrap().0).unwrap();
        assert_eq!(until(&mut preview, bytes), bytes);
        preview.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        assert!(until(&mut raw, "ok").starts_with("HTTP/1.1 200 OK\r\n"));
    }
    // Another key is none of this environment, and leads to the app.
    let mut raw = stage.raw();
    let other = GET.replace("host: a", "x-byway-key: pr-2");
    raw.send(&other).unwrap();
    let mut app = Raw::new(app.accept().unwrap().0).unwrap();
    assert_eq!(until(&mut app, &other), other);
}

/// When the only preview was used last.
fn last_request(agent: &Agent) -> Option<Timestamp> {
    let output =
        Command::new(Agent::binary()).args(["debug", "routes", "--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let agent = report["agents"].as_array()?.iter().find(|it| it["pid"] == agent.pid())?;
    agent["targets"][0]["routes"][0]["lastRequest"].as_str()?.parse().ok()
}

/// A preview with an `idleTtl` must not end under those who use it.
#[test]
fn what_goes_through_a_tunnel_is_use() {
    let Some(stage) = Stage::new() else { return };
    let (_app, listener) = (server::listen(&stage.app), server::listen(&stage.preview));
    let keyed = stage.routes(stage.preview());
    let by_origin = keyed.clone().environment("pr-1", &[&stage.client]);
    for (routes, first) in [(keyed, UPGRADE), (by_origin, "\x16\x03\x01\0\x05hello")] {
        let agent = Agent::start(&stage.net, &routes).unwrap();
        assert_eq!(last_request(&agent), None);
        let mut raw = stage.raw();
        raw.send(first).unwrap();
        let mut preview = Raw::new(listener.accept().unwrap().0).unwrap();
        until(&mut preview, first);
        let answer = if first == UPGRADE { SWITCH } else { "hello" };
        preview.send(answer).unwrap();
        assert!(until(&mut raw, answer).starts_with(&answer[..5]));
        for by_client in [true, false] {
            std::thread::sleep(Duration::from_millis(1500));
            let now = Timestamp::now();
            assert!(last_request(&agent).is_some_and(|last| last < now), "{first}: it has begun");
            let (from, to) = if by_client { (&mut raw, &mut preview) } else { (&mut preview, &mut raw) };
            from.send("ping").unwrap();
            assert_eq!(until(to, "ping"), "ping");
            let used = || last_request(&agent).filter(|last| *last >= now - Duration::from_millis(1));
            assert!(eventually(SOON, used).is_some(), "{first}: {:?}, before {now}", last_request(&agent));
        }
    }
}
