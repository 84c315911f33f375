//! `existingConnections: drainIdle`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use byway_api::ExistingConnections;
use byway_tests::shop::Pool;
use byway_tests::{Agent, End, Http, Pod, Preview, Raw, Routes, Running, Stage, eventually, needs_root};

use super::{BOTH, KEYED, SOON, old, wait_old};

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

/// On a busy machine the agent looks at connections less often.
fn ask_until_drained(agent: &Agent, wanted: u64, mut ask: impl FnMut()) {
    let asked = eventually(SOON * 3, || {
        ask();
        eventually(Duration::from_secs(4), || (old(agent, "drained") == wanted).then_some(()))
    });
    assert!(asked.is_some(), "{} are drained, not {wanted}: {}", old(agent, "drained"), agent.log());
}

#[test]
fn unused_ones_are_closed_and_others_when_a_request_was_seen_to_be_answered() {
    if needs_root() {
        return;
    }
    for args in BOTH {
        let stage = Stage::new().unwrap();
        let go = Arc::new(AtomicBool::new(false));
        server(&stage.app, &go);
        let [v4, v6] = stage.addresses();
        let connect = |to| Raw::new(stage.client.connect(to).unwrap()).unwrap();
        let (mut unused, mut used, mut busy) = (connect(v4), connect(v6), connect(v4));
        // A container beside the app, say.
        let mut local = Raw::new(stage.app.connect(([127, 0, 0, 1], Stage::PORT)).unwrap()).unwrap();
        let ask = |raw: &mut Raw| {
            raw.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            let answer = raw.receive_until(SOON, |it| it.ends_with(b"STABLE"));
            assert_eq!(answer.end, End::Timeout, "{answer:?}");
        };
        ask(&mut used);
        ask(&mut local);
        busy.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();

        let agent = stage.agent().args(args).start(&draining(&stage)).unwrap();
        wait_old(&agent, "drained", 1);
        assert_eq!(unused.receive(Duration::from_secs(1)).end, End::Reset);
        // Nobody knows what the others were asked before.
        thread::sleep(Duration::from_secs(4));
        assert_eq!((old(&agent, "open"), old(&agent, "drained")), (3, 1));
        for (raw, drained) in [(&mut used, 2), (&mut local, 3)] {
            ask_until_drained(&agent, drained, || ask(raw));
            assert_eq!(raw.receive(Duration::from_secs(1)).end, End::Reset);
        }
        go.store(true, Relaxed);
        let answer = busy.receive_until(SOON, |it| it.ends_with(b"STABLE"));
        assert!(answer.bytes.ends_with(b"STABLE"), "{answer:?}");
        thread::sleep(Duration::from_secs(3));
        assert_eq!(old(&agent, "open"), 1, "what it answers was not seen to be asked");
        ask_until_drained(&agent, 4, || ask(&mut busy));
        assert_eq!(busy.receive(Duration::from_secs(1)).end, End::Reset);
        wait_old(&agent, "open", 0);
        // Who connects again gets the preview.
        let mut again = Http::new(stage.client.connect(v4).unwrap());
        assert!(again.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));
        thread::sleep(Duration::from_millis(6500));
        let answer = again.get("/", &KEYED).unwrap().text();
        assert!(answer.starts_with("PREVIEW"), "what the agent serves is not closed");
    }
}

/// However long it takes, and whatever the server says before.
#[test]
fn what_is_owed_is_waited_for() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps");
    let mut command = stage.app.command("node");
    let mut app =
        Running::spawn("app", command.arg(apps.join("pauses.js")).args(["STABLE", "::", "8080"])).unwrap();
    app.wait_listening(Stage::PORT).unwrap();
    let [v4, _] = stage.addresses();
    for path in ["/slow", "/hints", "/processing", "/events"] {
        let mut command = stage.client.command("node");
        command.arg(apps.join("pool.js")).args([&v4.ip().to_string(), "8080", KEYED[0].0, KEYED[0].1]);
        let mut pool = Pool::start(command).unwrap();
        assert_eq!(pool.ask_for("/").unwrap(), "STABLE");
        let mut agent = stage.agent().start(&draining(&stage)).unwrap();
        wait_old(&agent, "open", 1);
        ask_until_drained(&agent, 1, || {
            let answer = pool.ask_for(path).unwrap();
            assert!(answer.ends_with("STABLE"), "{path}: {answer}");
        });
        assert_eq!(pool.ask_for("/").unwrap().split(' ').next(), Some("PREVIEW"), "{path}");
        drop(pool);
        agent.stop().unwrap();
    }
}

#[test]
fn what_nobody_can_read_is_left_alone() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let listener = stage.app.run(|| TcpListener::bind(("::", Stage::PORT))).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..len]);
                }
            });
        }
    });
    let mut raw = Raw::new(stage.client.connect(stage.addresses()[0]).unwrap()).unwrap();
    let mut says = |what: &[u8]| {
        raw.send(what).unwrap();
        assert_eq!(raw.receive_exact(what.len(), SOON).bytes, what);
    };
    says(b"\x16\x03\x01 hello");
    let agent = stage.agent().start(&draining(&stage)).unwrap();
    wait_old(&agent, "open", 1);
    for _ in 0..3 {
        thread::sleep(Duration::from_secs(2));
        says(b"\x17\x03\x03 data");
    }
    thread::sleep(Duration::from_secs(3));
    assert_eq!((old(&agent, "open"), old(&agent, "drained")), (1, 0));
}

#[test]
fn without_it_they_are_left_alone() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut pooled = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    let agent = stage.agent().args(BOTH[0]).start(&stage.routes()).unwrap();
    wait_old(&agent, "open", 1);
    assert!(pooled.get("/", &[]).unwrap().text().starts_with("STABLE"));
    thread::sleep(Duration::from_secs(3));
    assert!(pooled.get("/", &[]).unwrap().text().starts_with("STABLE"));
    // It is asked for while they are open.
    agent.write_routes(&draining(&stage)).unwrap();
    let mut ask = || assert!(pooled.get("/", &[]).unwrap().text().starts_with("STABLE"));
    ask_until_drained(&agent, 1, &mut ask);
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
