//! Connections that were open before the route: seen, counted, closed where a preview wants it, and never there where a
//! target is armed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use byway_api::ExistingConnections;
use byway_tests::{Agent, Http, Preview, Raw, Routes, Stage, eventually, needs_root};
use serde_json::Value;

mod drain;
mod filters;
mod traces;

const SOON: Duration = Duration::from_secs(10);
/// Looks at sockets are the rarer the longer each takes, so on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const KEYED: [(&str, &str); 1] = [("x-byway-key", Stage::KEY)];
/// By TCX, and as kernels before 6.6 do. Where connections go straight, old ones are soon none any more: see the tests of
/// `direct`.
const BOTH: [&[&str]; 2] = [&["--mode", "proxy"], &["--mode", "proxy", "--clsact"]];

/// What `debug routes` says of the only target, once there is one.
fn target(agent: &Agent) -> Option<Value> {
    let output =
        Command::new(Agent::binary()).args(["debug", "routes", "--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let agents = report["agents"].as_array()?;
    agents.iter().find(|it| it["pid"] == agent.pid())?["targets"].get(0).cloned()
}

/// One number of what it says of connections that were open before.
fn old(agent: &Agent, what: &str) -> u64 {
    target(agent).and_then(|it| it["old"][what].as_u64()).unwrap_or_default()
}

fn wait_old(agent: &Agent, what: &str, wanted: u64) {
    let reached = eventually(PATIENCE, || (old(agent, what) == wanted).then_some(()));
    assert!(reached.is_some(), "{what} should be {wanted}: {:#?}\n{}", target(agent), agent.log());
}

fn wait_observed(agent: &Agent, wanted: bool) {
    let reached = eventually(PATIENCE, || (traces::is_observing(agent) == wanted).then_some(()));
    assert!(reached.is_some(), "observing should be {wanted}\n{}", agent.log());
}

#[test]
fn keyed_requests_on_them_are_counted_as_missed() {
    if needs_root() {
        return;
    }
    for args in BOTH {
        let stage = Stage::new().unwrap();
        let _app = stage.start_app().unwrap();
        let [v4, v6] = stage.addresses().map(|to| stage.client.connect(to).unwrap());
        let (mut v4, mut v6) = (Http::new(v4), Raw::new(v6).unwrap());
        // A container beside the app, say.
        let mut local = Http::new(stage.app.connect(([127, 0, 0, 1], Stage::PORT)).unwrap());
        assert!(v4.get("/", &[]).unwrap().text().starts_with("STABLE"));
        let agent = stage.agent().args(args).start(&stage.routes()).unwrap();
        // Those that the agent serves are none.
        let mut new = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
        assert!(new.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));
        wait_old(&agent, "open", 3);
        wait_observed(&agent, true);

        assert!(v4.get("/", &[]).unwrap().text().starts_with("STABLE"));
        wait_old(&agent, "requests", 1);
        assert_eq!(old(&agent, "missed"), 0, "a request without the key misses nothing");
        assert!(v4.get("/", &KEYED).unwrap().text().starts_with("STABLE"), "the app serves it");
        wait_old(&agent, "missed", 1);
        let body = vec![b'x'; 300_000];
        assert_eq!(v4.request("POST", "/", &KEYED, &body).unwrap().body, body);
        wait_old(&agent, "missed", 2);
        v6.send_pieces(
            ["GET / HTTP/1.1\r\nhost: a\r\nx-byw", "ay-key: pr-1\r\n", "\r\n"],
            Duration::from_millis(30),
        )
        .unwrap();
        wait_old(&agent, "missed", 3);
        assert!(local.get("/", &KEYED).unwrap().text().starts_with("STABLE"));
        wait_old(&agent, "missed", 4);
        assert!(new.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));

        // It is said wherever one may look.
        let status = || serde_json::from_slice::<Value>(&agent.get("/status").unwrap().body).unwrap();
        let told = || (status()["targets"][0]["oldConnections"] == 3).then_some(());
        assert!(eventually(SOON, told).is_some(), "{:#}", status());
        let missed = || (status()["requests"][0]["missed"].as_u64() >= Some(1)).then_some(());
        assert!(eventually(SOON, missed).is_some(), "{:#}", status());
        assert_eq!(agent.metric("byway_agent_old_connections", "").unwrap(), 3.0);
        assert_eq!(agent.metric("byway_agent_old_requests_missed_total", "").unwrap(), 4.0);
        assert_eq!(target(&agent).unwrap()["routes"][0]["missed"], 4);
        let text = Agent::debug_routes();
        assert!(text.contains("open before the route: 3 connections") && text.contains("4 missed"), "{text}");

        drop((v4, v6, local));
        wait_old(&agent, "open", 0);
        wait_observed(&agent, false);
        let gone = || status()["targets"].get(0).is_none().then_some(());
        assert!(eventually(SOON, gone).is_some(), "{:#}", status());
    }
}

#[test]
fn with_an_armed_target_there_are_none() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let armed = stage.previews().armed(&stage.app, &[Stage::PORT]);
    let agent = Agent::start(&stage.net, &armed).unwrap();
    let mut pooled: Vec<Http> =
        stage.addresses().map(|to| Http::new(stage.client.connect(to).unwrap())).into_iter().collect();
    for http in &mut pooled {
        assert!(http.get("/", &KEYED).unwrap().text().starts_with("STABLE"), "there is no route yet");
    }
    let mut routes = armed.clone();
    routes.0.targets[0].previews = vec!["demo/redesign".to_owned()];
    agent.write_routes(&routes).unwrap();
    stage.wait_answered_by("PREVIEW").unwrap();
    for http in &mut pooled {
        assert!(http.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));
    }
    std::thread::sleep(Duration::from_millis(1500));
    let seen = target(&agent).unwrap()["old"].clone();
    assert_eq!((&seen["open"], &seen["missed"]), (&0.into(), &0.into()), "{seen}");
    assert!(!traces::is_observing(&agent));
    // Without the preview it stays attached.
    agent.write_routes(&armed).unwrap();
    stage.wait_answered_by("STABLE").unwrap();
    assert!(pooled[0].get("/", &KEYED).unwrap().text().starts_with("STABLE"));
    assert!(target(&agent).is_some());
}

#[test]
fn what_a_predecessor_serves_is_none() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let _before = stage.start_agent().unwrap();
    let mut pooled = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    assert!(pooled.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));
    let after = stage.start_agent().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(old(&after, "open"), 0);
    assert!(pooled.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));
}

#[test]
fn what_a_predecessor_serves_by_a_preview_alone_is_none() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let [tunnels, inside] = stage.net.pods(["tunnels", "inside"]).unwrap();
    let listener = tunnels.run(|| TcpListener::bind(("::", Stage::PORT))).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || tunnel(stream));
        }
    });
    let preview = Preview::new("demo/redesign", Stage::KEY).backend(&tunnels);
    let preview = preview.with(|it| it.existing_connections = ExistingConnections::DrainIdle);
    let routes = Routes::new().preview(preview).target(&stage.app, &[Stage::PORT], &["demo/redesign"]);
    let routes = routes.environment(Stage::KEY, &[&inside]);
    let _before = stage.agent().start(&routes).unwrap();
    // Of neither is there a dial of the app: not any more, and not ever.
    let keyed = format!("GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: {}\r\n{UPGRADE}\r\n", Stage::KEY);
    let by_origin = format!("GET / HTTP/1.1\r\nhost: a\r\n{UPGRADE}\r\n");
    let mut open = [(&stage.client, keyed), (&inside, by_origin)].map(|(from, head)| {
        let mut raw = Raw::new(from.connect(stage.addresses()[0]).unwrap()).unwrap();
        raw.send(head).unwrap();
        raw.receive_until(SOON, |it| it.ends_with(b"\r\n\r\n"));
        raw
    });
    let after = stage.agent().start(&routes).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!((old(&after, "open"), old(&after, "drained")), (0, 0), "{}", after.log());
    for raw in &mut open {
        raw.send("still here").unwrap();
        let answer = raw.receive_until(SOON, |it| it.ends_with(b"still here"));
        assert_eq!(String::from_utf8_lossy(&answer.bytes), "still here", "{answer:?}");
    }
}

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\n";

/// Agrees to whatever the first bytes ask for, and sends back what follows.
fn tunnel(mut stream: TcpStream) -> std::io::Result<u64> {
    let _ = stream.read(&mut [0; 4096])?;
    stream.write_all(format!("HTTP/1.1 101 Switching Protocols\r\n{UPGRADE}\r\n").as_bytes())?;
    std::io::copy(&mut stream.try_clone()?, &mut stream)
}

#[test]
fn connections_made_while_no_agent_ran_are_seen_by_the_next() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut agent = stage.start_agent().unwrap();
    wait_old(&agent, "open", 0);
    agent.sigkill();
    // What it had accepted while it died is reset.
    let connect = || {
        let mut http = Http::new(stage.client.connect(stage.addresses()[1]).ok()?);
        http.get("/", &KEYED).ok()?.text().starts_with("STABLE").then_some(http)
    };
    let mut pooled = eventually(SOON, connect).unwrap();
    let agent = stage.start_agent().unwrap();
    wait_old(&agent, "open", 1);
    assert!(pooled.get("/", &KEYED).unwrap().text().starts_with("STABLE"));
    wait_old(&agent, "missed", 1);
}
