//! Machines that vanish without a word: links are cut. An app notices as soon as without the agent, and a preview's pod
//! is not waited for without an end.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{End, Pod, Raw, Running, Scratch, eventually};

use crate::server::{self, PORT};
use crate::{SOON, Stage};

const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/vanished.py");
/// The app bears a silent client for four seconds, and one that takes nothing for three.
const BORNE: Duration = Duration::from_secs(4);
/// What the agent may add, and a busy machine.
const MORE: Duration = Duration::from_secs(3);
/// What docs/agent.md says of a preview's pod, and what a busy machine adds.
const NOTICED: Duration = Duration::from_secs(40);

fn app(pod: &Pod, ends: &Path) -> Running {
    let mut command = pod.command("python3");
    command.arg(APP).arg(PORT.to_string()).arg(ends);
    let mut running = Running::spawn("python", &mut command).unwrap();
    running.wait_listening(PORT).unwrap();
    running
}

fn cut(pod: &Pod) {
    let status = pod.command("ip").args(["link", "set", "eth0", "down"]).status().unwrap();
    assert!(status.success());
}

fn ask(stage: &Stage, path: &str, key: &str, answer: &str) -> Raw {
    let mut raw = stage.raw();
    raw.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n{key}\r\n")).unwrap();
    let received = raw.receive_until(SOON, |bytes| bytes.ends_with(answer.as_bytes()));
    assert!(received.bytes.ends_with(answer.as_bytes()), "{path}: {received:?}");
    raw
}

/// How long it takes the app to notice that clients of both kinds have vanished.
fn noticed(stage: &Stage, ends: &Path) -> Duration {
    let clients = [ask(stage, "/silent", "", "APP"), ask(stage, "/endless", "", "aa")];
    cut(&stage.client);
    let cut_at = Instant::now();
    let both = || {
        let said = fs::read_to_string(ends).unwrap_or_default();
        ["/silent", "/endless"].iter().all(|it| said.contains(it)).then_some(())
    };
    assert!(eventually(SOON, both).is_some(), "only {:?}", fs::read_to_string(ends));
    drop(clients);
    cut_at.elapsed()
}

#[test]
fn a_vanished_client_ends_for_the_app_as_soon_as_without_the_agent() {
    for is_with_agent in [false, true] {
        let Some(stage) = Stage::new() else { return };
        let scratch = Scratch::new("vanished").unwrap();
        let ends = scratch.path().join("ends");
        let _app = app(&stage.app, &ends);
        let _agent = is_with_agent.then(|| stage.agent());
        // The agent learns what the app bears from connections that there are.
        let first = ask(&stage, "/first", "", "APP");
        sleep(Duration::from_secs(3));
        let after = noticed(&stage, &ends);
        assert!(after < BORNE + MORE, "with the agent: {is_with_agent}, after {after:?}");
        drop(first);
    }
}

#[test]
fn a_vanished_pod_of_a_preview_is_noticed() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    server::serve(&stage.preview, |request, stream| {
        let begun = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbegun";
        if request.path == "/silent" {
            stream.write_all(begun.as_bytes()).is_ok()
        } else {
            server::ok(stream, "PREVIEW")
        }
    });
    let _agent = stage.agent();
    let key = "x-byway-key: pr-1\r\n";
    let mut silent = ask(&stage, "/silent", key, "begun");
    let mut kept = ask(&stage, "/kept", key, "PREVIEW");

    cut(&stage.preview);
    let cut_at = Instant::now();
    kept.send(format!("GET /lost HTTP/1.1\r\nhost: a\r\n{key}\r\n")).unwrap();
    let answer = kept.receive_until(NOTICED, |bytes| bytes.ends_with(b"\n")).bytes;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer:?}");
    assert!(cut_at.elapsed() < NOTICED, "a request after {:?}", cut_at.elapsed());
    let end = silent.receive(NOTICED.saturating_sub(cut_at.elapsed()));
    assert_ne!(end.end, End::Timeout, "an answer that is silent: {end:?}");
}
