//! Servers as they come, in their pods: they notice nothing, and a keyed request reaches the preview.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use byway_tests::{Agent, Http, Plan, Pod, Running, Server, Stage, dials, eventually, needs_root};

const KEYED: [(&str, &str); 1] = [("x-byway-key", Stage::KEY)];

#[test]
fn nginx() {
    behaves(Server::Nginx);
}

#[test]
fn node() {
    behaves(Server::Node);
}

#[test]
fn python_with_blocking_sockets() {
    behaves(Server::Python);
}

#[test]
fn go_with_its_mptcp_listener() {
    behaves(Server::Go);
}

#[test]
fn java() {
    behaves(Server::Java);
}

#[test]
fn ruby() {
    behaves(Server::Ruby);
}

type Start<'a> = &'a dyn Fn(&Pod, SocketAddr) -> Running;

fn behaves(server: Server) {
    if needs_root() {
        return;
    }
    let (start, echo) =
        (&|pod: &Pod, listen| server.start(pod, "STABLE", listen, &[]).unwrap(), server.echo());
    let stage = Stage::new().unwrap();
    let binds: [SocketAddr; 3] = [
        "[::]:8080".parse().unwrap(),
        "0.0.0.0:8080".parse().unwrap(),
        SocketAddr::new(stage.app.ipv4.into(), Stage::PORT),
    ];
    let mut app = start(&stage.app, binds[0]);
    app.wait_listening(Stage::PORT).unwrap();
    let agent = stage.start_agent().unwrap();
    for to in stage.addresses() {
        mixes_keys_on_one_connection(&stage, to);
        echoes(&stage, to, echo);
        closes_when_asked(&stage, to);
    }
    serves_many(&stage, &agent);
    survives_restarts(&stage, app, start, &agent);
    for bind in &binds[1..] {
        let mut app = start(&stage.app, *bind);
        app.wait_listening(Stage::PORT).unwrap();
        mixes_keys_on_one_connection(&stage, stage.addresses()[0]);
        // Go takes both families where it is told 0.0.0.0.
        let v6 = stage.client.connect(stage.addresses()[1]).map_err(|e| e.kind());
        if let Err(error) = v6 {
            assert_eq!(error, std::io::ErrorKind::ConnectionRefused, "{bind}");
        } else {
            assert!(bind.ip().is_unspecified(), "{bind}: nobody listens on IPv6");
        }
    }
    only_on_loopback(&stage, start);
    assert!(eventually(Duration::from_secs(10), || (dials(agent.pid()).ok()? == 0).then_some(())).is_some());
}

/// What the app sees is the real client, whether the answer came directly or not.
fn mixes_keys_on_one_connection(stage: &Stage, to: SocketAddr) {
    let mut http = Http::new(stage.client.connect(to).unwrap());
    let here = http.stream().local_addr().unwrap();
    for round in 0..10 {
        let stable = http.get("/", &[]).unwrap();
        assert_eq!(seen(&stable.text()), ("STABLE".to_owned(), Some(here)), "{to}, round {round}");
        assert_eq!(stable.header("x-byway-preview"), None);
        let preview = http.get("/", &KEYED).unwrap();
        assert_eq!(seen(&preview.text()).0, "PREVIEW", "{to}, round {round}\n{}", Agent::debug_routes());
        assert_eq!(preview.header("x-byway-preview"), Some("demo/redesign"));
        let other = http.get("/", &[("x-byway-key", "pr-12")]).unwrap();
        assert_eq!(seen(&other.text()), ("STABLE".to_owned(), Some(here)), "{to}, round {round}");
    }
}

fn seen(answer: &str) -> (String, Option<SocketAddr>) {
    let (name, address) = answer.split_once(' ').unwrap_or((answer, ""));
    let address = address.replace("::ffff:", "");
    // nginx writes IPv6 without brackets, and a mapped address is written with them.
    let parsed = address.parse().ok().or_else(|| {
        let (ip, port) = address.rsplit_once(':')?;
        let ip = ip.trim_start_matches('[').trim_end_matches(']');
        Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
    });
    (name.to_owned(), parsed)
}

fn echoes(stage: &Stage, to: SocketAddr, echo: &str) {
    let mut body: Vec<u8> = (0..1_000_000_u32).map(|i| b'a' + (i % 23) as u8).collect();
    let fake = format!("\r\n\r\nGET / HTTP/1.1\r\nhost: fake\r\nx-byway-key: {}\r\n\r\n", Stage::KEY);
    body[500_000..500_000 + fake.len()].copy_from_slice(fake.as_bytes());
    let mut http = Http::new(stage.client.connect(to).unwrap());
    for keyed in [false, true, false] {
        let path = if keyed { "/" } else { echo };
        let response = http.request("POST", path, if keyed { &KEYED } else { &[] }, &body).unwrap();
        assert_eq!(response.status, 200);
        assert!(response.body == body, "{to}, keyed {keyed}: {} bytes came back", response.body.len());
    }
    assert_eq!(seen(&http.get("/", &[]).unwrap().text()).0, "STABLE");
}

fn closes_when_asked(stage: &Stage, to: SocketAddr) {
    for (headers, name) in [
        (vec![("connection", "close")], "STABLE"),
        (vec![("connection", "close"), ("x-byway-key", Stage::KEY)], "PREVIEW"),
    ] {
        let mut http = Http::new(stage.client.connect(to).unwrap());
        assert_eq!(seen(&http.get("/", &headers).unwrap().text()).0, name);
        assert!(http.get("/", &[]).is_err(), "{name} closed its connection");
    }
}

fn serves_many(stage: &Stage, agent: &Agent) {
    let load = Plan::to(stage.addresses()).keyed(Stage::KEY).clients(4).start(&stage.client);
    let enough = eventually(Duration::from_secs(60), || (load.outcome().total() > 2500).then_some(()));
    let outcome = load.stop();
    eprintln!("{:.0} connections/s: {outcome:?}", outcome.rate());
    assert!(enough.is_some() && outcome.failed() == 0, "{outcome:?}");
    assert!(outcome.of("PREVIEW") > 1000 && outcome.of("STABLE") > 1000, "{outcome:?}");
    let preview = agent.metric("byway_agent_requests_total", r#"to="preview""#).unwrap();
    assert!(preview >= outcome.of("PREVIEW") as f64, "{preview}");
}

/// With connections open, idle and busy, the app ends and another takes its port.
fn survives_restarts(stage: &Stage, mut app: Running, start: Start<'_>, agent: &Agent) {
    for _ in 0..3 {
        let mut idle: Vec<_> = (0..20)
            .map(|n| {
                let mut http = Http::new(stage.client.connect(stage.addresses()[n % 2]).unwrap());
                http.get("/", &[]).unwrap();
                http
            })
            .collect();
        let load = Plan::to(stage.addresses()).clients(2).start(&stage.client);
        std::thread::sleep(Duration::from_millis(200));
        app.kill();
        app = start(&stage.app, "[::]:8080".parse().unwrap());
        app.wait_listening(Stage::PORT).unwrap_or_else(|e| panic!("{e:#}\n{}", agent.log()));
        stage.wait_answered_by("PREVIEW").unwrap();
        let before = load.outcome();
        let more = || (load.outcome().of("STABLE") > before.of("STABLE") + 50).then_some(());
        assert!(eventually(Duration::from_secs(20), more).is_some(), "{:?}", load.outcome());
        let outcome = load.stop();
        assert_eq!((outcome.late, outcome.wrong.len()), (0, 0), "{outcome:?}");
        // The app ended, and so did its connections.
        assert!(idle.iter_mut().all(|http| http.get("/", &[]).is_err()));
    }
}

/// Such an app is reached from its own pod alone, also with an agent.
fn only_on_loopback(stage: &Stage, start: Start<'_>) {
    let mut app = start(&stage.app, "127.0.0.1:8080".parse().unwrap());
    app.wait_listening(Stage::PORT).unwrap();
    let error = stage.client.connect(stage.addresses()[0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    let mut http = Http::new(stage.app.connect(([127, 0, 0, 1], Stage::PORT)).unwrap());
    let here = http.stream().local_addr().unwrap();
    assert_eq!(seen(&http.get("/", &[]).unwrap().text()), ("STABLE".to_owned(), Some(here)));
    assert_eq!(seen(&http.get("/", &KEYED).unwrap().text()).0, "PREVIEW");
}

#[test]
fn workers_that_share_a_port_come_and_go_as_another_user() {
    if needs_root() {
        return;
    }
    for uid in [0, 65534] {
        let stage = Stage::new().unwrap();
        let worker = || {
            let listen = "[::]:8080".parse().unwrap();
            let flags = ["reuseport", &format!("uid={uid}")];
            Server::Python.start(&stage.app, "STABLE", listen, &flags).unwrap()
        };
        let mut workers = vec![worker()];
        workers[0].wait_listening(Stage::PORT).unwrap();
        let agent = stage.start_agent().unwrap();
        let mut open = Vec::new();
        let mut hold = || {
            for n in 0..10 {
                let mut http = Http::new(stage.client.connect(stage.addresses()[n % 2]).unwrap());
                assert_eq!(seen(&http.get("/", &[]).unwrap().text()).0, "STABLE");
                assert_eq!(seen(&http.get("/", &KEYED).unwrap().text()).0, "PREVIEW");
                open.push(http);
            }
        };
        hold();
        for n in 1..4 {
            let mut another = worker();
            let listening = eventually(Duration::from_secs(10), || {
                assert!(another.ended().unwrap().is_none(), "uid {uid}, worker {n}: {}", another.log());
                (listeners(&stage.app, Stage::PORT) == n + 1).then_some(())
            });
            assert!(listening.is_some());
            workers.push(another);
            hold();
        }
        while let Some(mut worker) = workers.pop() {
            if workers.is_empty() {
                break;
            }
            worker.kill();
            stage.wait_answered_by("PREVIEW").unwrap();
        }
        let refused = eventually(Duration::from_secs(5), || {
            stage.client.connect(stage.addresses()[0]).err().map(|e| e.kind())
        });
        assert_eq!(refused, Some(std::io::ErrorKind::ConnectionRefused), "{}", agent.log());
    }
}

#[test]
fn an_app_without_reuseaddr_starts_again_as_it_would_without_an_agent() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let listen = "[::]:8080".parse().unwrap();
    let start = || Server::Python.start(&stage.app, "STABLE", listen, &["plain"]).unwrap();
    let mut app = start();
    app.wait_listening(Stage::PORT).unwrap();
    let _agent = stage.start_agent().unwrap();
    // Clients that close first leave nothing on the app's port, so it can bind at once.
    for n in 0..20 {
        stage.ask(stage.addresses()[n % 2], None).unwrap();
    }
    std::thread::sleep(Duration::from_millis(100));
    app.kill();
    let mut app = start();
    app.wait_listening(Stage::PORT).unwrap();
    stage.wait_answered_by("PREVIEW").unwrap();
}

/// Sockets that listen on `port` in the pod.
fn listeners(pod: &Pod, port: u16) -> usize {
    let local = format!(":{port:04X}");
    let table = pod.run(|| fs::read_to_string("/proc/thread-self/net/tcp6")).unwrap();
    let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns.filter(|c| c.len() > 3 && c[1].ends_with(&local) && c[3] == "0A").count()
}
