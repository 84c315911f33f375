//! `existingConnections: drainIdle`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use byway_api::ExistingConnections;
use byway_tests::{End, Http, Pod, Preview, Raw, Routes, Stage, eventually, needs_root};

use super::{KEYED, SOON, old, wait_old};

/// Answers at once, but `/slow` only when told to.
fn server(pod: &Pod, go: &Arc<AtomicBool>) {
    let address = SocketAddr::from(([0; 8], Stage::PORT));
    let listener = pod.run(move || TcpListener::bind(address)).unwrap();
    let go = go.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let go = go.clone();
            thread::spawn(move || serve(stream, &go));
        }
    });
}

fn serve(mut stream: TcpStream, go: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        while buffer[..len].starts_with(b"GET /slow") && !go.load(Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nSTABLE");
    }
}

fn draining(stage: &Stage) -> Routes {
    let preview = Preview::new("demo/redesign", Stage::KEY).backend(&stage.preview);
    let preview = preview.with(|it| it.existing_connections = ExistingConnections::DrainIdle);
    Routes::new().preview(preview).target(&stage.app, &[Stage::PORT], &["demo/redesign"])
}

#[test]
fn idle_ones_are_closed_and_busy_ones_are_not() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let go = Arc::new(AtomicBool::new(false));
    server(&stage.app, &go);
    let [v4, v6] = stage.addresses();
    let connect = |to| Raw::new(stage.client.connect(to).unwrap()).unwrap();
    let (mut unused, mut used, mut busy) = (connect(v4), connect(v6), connect(v4));
    used.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(used.receive_until(Duration::from_secs(5), |it| it.ends_with(b"STABLE")).end == End::Timeout);
    busy.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();

    let agent = stage.agent().start(&draining(&stage)).unwrap();
    wait_old(&agent, "drained", 2);
    assert_eq!(unused.receive(Duration::from_secs(1)).end, End::Reset);
    assert_eq!(used.receive(Duration::from_secs(1)).end, End::Reset);
    // It has been silent for as long, but owes an answer.
    thread::sleep(Duration::from_secs(3));
    wait_old(&agent, "open", 1);
    assert_eq!(old(&agent, "drained"), 2);
    go.store(true, Relaxed);
    let answer = busy.receive_until(Duration::from_secs(5), |it| it.ends_with(b"STABLE"));
    assert!(answer.bytes.ends_with(b"STABLE"), "{answer:?}");
    wait_old(&agent, "drained", 3);
    assert_eq!(busy.receive(Duration::from_secs(1)).end, End::Reset);
    wait_old(&agent, "open", 0);
    // Who connects again gets the preview.
    let mut again = Http::new(stage.client.connect(v4).unwrap());
    assert!(again.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));
    thread::sleep(Duration::from_millis(6500));
    assert!(
        again.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"),
        "what the agent serves is not closed"
    );
}

#[test]
fn without_it_they_are_left_alone() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut pooled = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    let agent = stage.start_agent().unwrap();
    wait_old(&agent, "open", 1);
    thread::sleep(Duration::from_secs(3));
    assert!(pooled.get("/", &[]).unwrap().text().starts_with("STABLE"));
    // It is asked for while they are open.
    agent.write_routes(&draining(&stage)).unwrap();
    wait_old(&agent, "drained", 1);
    wait_old(&agent, "open", 0);
    assert!(pooled.get("/", &[]).is_err());
}

#[test]
fn without_the_right_to_close_they_stay_and_that_is_said() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut pooled = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    let agent = stage.agent().without_capability("net_admin").start(&draining(&stage)).unwrap();
    wait_old(&agent, "open", 1);
    let said = || agent.log().contains("that needs CAP_NET_ADMIN").then_some(());
    assert!(eventually(SOON, said).is_some(), "{}", agent.log());
    assert!(pooled.get("/", &KEYED).unwrap().text().starts_with("STABLE"));
    wait_old(&agent, "missed", 1);
}
