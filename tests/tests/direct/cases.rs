//! Requests that come in unusual ways. Each is answered by whom it is for, in order.

use std::{
    fs,
    io::Write as _,
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use byway_tests::{Agent, App, FarClient, Http, Raw, Running, Stage, eventually, needs_root};

use super::{KEYED, agent, counter, name, steered, told};

struct Case {
    stage: Stage,
    agent: Agent,
    _app: App,
}

fn case() -> Option<Case> {
    if needs_root() {
        return None;
    }
    let stage = Stage::new().unwrap();
    let app = stage.start_app().unwrap();
    let agent = agent(&stage);
    Some(Case { stage, agent, _app: app })
}

impl Case {
    fn connect(&self) -> Http {
        Http::new(self.stage.client.connect(self.stage.addresses()[0]).unwrap())
    }

    fn answers<const N: usize>(&self, http: &mut Http, wanted: [&str; N]) {
        for (n, wanted) in wanted.into_iter().enumerate() {
            let answer = http.response("GET").map(|it| it.text());
            let answer = answer.unwrap_or_else(|e| panic!("answer {n}: {e:#}\n{}", self.agent.log()));
            assert_eq!(name(&answer), wanted, "answer {n}\n{}\n{}", self.agent.log(), Agent::debug_routes());
        }
    }
}

fn head(keyed: bool) -> String {
    let key = if keyed { format!("x-byway-key: {}\r\n", Stage::KEY) } else { String::new() };
    format!("GET / HTTP/1.1\r\nhost: a\r\n{key}\r\n")
}

#[test]
fn pipelined_in_one_segment() {
    let Some(case) = case() else { return };
    let mut http = case.connect();
    http.send([head(false), head(true), head(false)].concat().as_bytes()).unwrap();
    case.answers(&mut http, ["STABLE", "PREVIEW", "STABLE"]);
    // Whoever asks ahead may do so with a key: so from then on all is read.
    let mut http = case.connect();
    http.send([head(false), head(false), head(false)].concat().as_bytes()).unwrap();
    case.answers(&mut http, ["STABLE"; 3]);
    http.send([head(false), head(true)].concat().as_bytes()).unwrap();
    case.answers(&mut http, ["STABLE", "PREVIEW"]);
    assert_eq!(counter(&case.stage, "directMissed"), 0, "{}", Agent::debug_routes());
}

#[test]
fn pipelined_behind_an_answer_under_way() {
    let Some(case) = case() else { return };
    for ahead in 1..4 {
        let mut http = case.connect();
        // Far longer than what fits into buffers, so the app is still at it.
        let body = vec![b'x'; 8 << 20];
        http.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes())
            .unwrap();
        http.send(&body).unwrap();
        for _ in 1..ahead {
            http.send(head(false).as_bytes()).unwrap();
        }
        http.send(head(true).as_bytes()).unwrap();
        assert_eq!(http.response("POST").unwrap().body.len(), body.len());
        for _ in 1..ahead {
            case.answers(&mut http, ["STABLE"]);
        }
        case.answers(&mut http, ["PREVIEW"]);
    }
    assert_eq!(counter(&case.stage, "directMissed"), 0, "{}", Agent::debug_routes());
}

/// Who asks ahead without a key may be held for as long as `agent.md` says, and no longer.
#[test]
fn pipelined_behind_a_body_without_a_key() {
    let Some(case) = case() else { return };
    for len in [200, 20_000, 70_000, 300_000] {
        let mut http = case.connect();
        let body = vec![b'x'; len];
        let post = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {len}\r\n\r\n");
        for _ in 0..3 {
            let begun = Instant::now();
            http.send(&[post.as_bytes(), &body, head(false).as_bytes()].concat()).unwrap();
            assert!(http.response("POST").unwrap().body == body);
            case.answers(&mut http, ["STABLE"]);
            eprintln!("{len} bytes: {:?}", begun.elapsed());
            assert!(begun.elapsed() < Duration::from_secs(1), "{len} bytes: {:?}", begun.elapsed());
        }
    }
}

#[test]
fn behind_the_tail_of_a_body() {
    let Some(case) = case() else { return };
    let mut http = case.connect();
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nSTABLE";
    http.send(post.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(20));
    http.send(format!(" abc{}", &head(true)[..]).as_bytes()).unwrap();
    let body = http.response("POST").unwrap().text();
    assert_eq!(body, "STABLE abc");
    case.answers(&mut http, ["PREVIEW"]);
}

#[test]
fn bodies_full_of_what_looks_like_heads() {
    let Some(case) = case() else { return };
    let body = head(true).repeat(4 << 20 >> 5).into_bytes();
    for keyed in [false, true] {
        let mut http = case.connect();
        let headers = if keyed { &KEYED[..] } else { &[] };
        for _ in 0..2 {
            let response = http.request("POST", "/", headers, &body).unwrap();
            assert!(response.body == body, "keyed {keyed}: {} of {}", response.body.len(), body.len());
        }
        assert_eq!(name(&http.get("/", &KEYED).unwrap().text()), "PREVIEW", "{}", case.agent.log());
        let response = http.request("POST", "/", &KEYED, &body).unwrap();
        assert!(response.body == body);
    }
}

#[test]
fn with_a_half_close() {
    let Some(case) = case() else { return };
    for unkeyed in 0..2 {
        let mut http = case.connect();
        for _ in 0..unkeyed {
            http.get("/", &[]).unwrap();
        }
        http.send(head(true).as_bytes()).unwrap();
        http.stream().shutdown(Shutdown::Write).unwrap();
        case.answers(&mut http, ["PREVIEW"]);
    }
    let mut http = case.connect();
    http.send(head(false).as_bytes()).unwrap();
    http.stream().shutdown(Shutdown::Write).unwrap();
    case.answers(&mut http, ["STABLE"]);
}

#[test]
fn byte_by_byte_and_long() {
    let Some(case) = case() else { return };
    let mut http = case.connect();
    http.get("/", &[]).unwrap();
    for byte in head(true).as_bytes() {
        http.stream().write_all(&[*byte]).unwrap();
        thread::sleep(Duration::from_micros(500));
    }
    case.answers(&mut http, ["PREVIEW"]);
    for len in [1000, 3000, 4100, 20_000] {
        for keyed in [true, false] {
            let mut http = case.connect();
            let long = "y".repeat(len);
            let mut headers = vec![("x-long", long.as_str())];
            headers.extend(KEYED.iter().filter(|_| keyed));
            for _ in 0..2 {
                let wanted = if keyed { "PREVIEW" } else { "STABLE" };
                let answer = http
                    .get("/", &headers)
                    .unwrap_or_else(|e| panic!("{len}, {keyed}: {e:#}\n{}", case.agent.log()));
                assert_eq!(name(&answer.text()), wanted, "{len}");
            }
        }
    }
}

#[test]
fn by_every_carrier_and_no_other_key() {
    let Some(case) = case() else { return };
    for (header, value, wanted) in [
        ("x-byway-key", "pr-1", "PREVIEW"),
        ("X-Byway-Key", "pr-1", "PREVIEW"),
        ("x-byway-key", "pr-12", "STABLE"),
        ("cookie", "a=b; byway-key=pr-1", "PREVIEW"),
        ("cookie", "a=pr-1; baby=1", "STABLE"),
        ("cookie", "byway-key=pr-12", "STABLE"),
        ("baggage", "a=b,byway-key=pr-1", "PREVIEW"),
        ("baggage", "byway-key=pr%2D1", "PREVIEW"),
        ("baggage", "byway-key=pr%2D12", "STABLE"),
        ("x-other", "pr-1", "STABLE"),
    ] {
        for unkeyed in 0..2 {
            let mut http = case.connect();
            for _ in 0..unkeyed {
                assert_eq!(name(&http.get("/", &[("cookie", "c=d")]).unwrap().text()), "STABLE");
            }
            let answer = http.get("/", &[(header, value)]).unwrap().text();
            assert_eq!(name(&answer), wanted, "{header}: {value}\n{}", case.agent.log());
            assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
        }
    }
    assert_eq!(counter(&case.stage, "directMissed"), 0);
}

#[test]
fn what_is_not_http_goes_on_as_it_came() {
    let Some(case) = case() else { return };
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], b"HELO x\r\n", b"get key\r\n"] {
        let mut raw = Raw::new(case.stage.client.connect(case.stage.addresses()[0]).unwrap()).unwrap();
        raw.send(bytes).unwrap();
        raw.send(head(true)).unwrap();
        // The app takes it for the rest of a head, and answers.
        let received = raw.receive_until(Duration::from_secs(5), |it| it.windows(6).any(|w| w == b"STABLE"));
        assert!(!received.bytes.is_empty(), "{}", case.agent.log());
    }
    assert_eq!(counter(&case.stage, "directTaken"), 0);
}

#[test]
fn a_client_that_resets_while_it_is_held_is_gone() {
    let Some(case) = case() else { return };
    let http = case.connect();
    http.stream().write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr").unwrap();
    thread::sleep(Duration::from_millis(50));
    Raw::new(http.stream().try_clone().unwrap()).unwrap().reset().unwrap();
    drop(http);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert_eq!(name(&case.connect().get("/", &KEYED).unwrap().text()), "PREVIEW");
        thread::sleep(Duration::from_millis(50));
    }
    // Nobody missed anything, and nobody is asked after a connection that has gone.
    assert_eq!(counter(&case.stage, "directMissed"), 0, "{}", Agent::debug_routes());
    assert!(steered(&case.stage) < 20, "{}", Agent::debug_routes());
}

/// Nobody looks through fragments, so behind some it is not known where heads begin.
#[test]
fn behind_fragments_all_is_the_apps_at_once_and_that_is_counted() {
    let Some(case) = case() else { return };
    let (node, far) = (case.stage.net.node(), FarClient::new(&case.stage.net, Duration::ZERO, 0).unwrap());
    // A client that does not look for the smallest MTU on its way, and a router that so has to cut its packets.
    far.netns().run(|| fs::write("/proc/sys/net/ipv4/ip_no_pmtu_disc", "1")).unwrap();
    let smaller = node.command("ip").args(["link", "set", "br0", "mtu", "1280"]).status().unwrap();
    assert!(smaller.success());
    let to = case.stage.addresses()[0];
    let mut http = Http::new(far.netns().run(move || TcpStream::connect(to)).unwrap());
    assert_eq!(name(&http.get("/", &KEYED).unwrap().text()), "PREVIEW");
    let mut http = Http::new(far.netns().run(move || TcpStream::connect(to)).unwrap());
    assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
    let begun = Instant::now();
    let body = http.request("POST", "/echo", &[], &[b'a'; 1300]).unwrap().body;
    assert_eq!(body.len(), 1300);
    assert_eq!(name(&http.get("/", &KEYED).unwrap().text()), "STABLE");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(told(&case.stage, "steered", "Gap"), 1, "{}", Agent::debug_routes());
}

/// Nothing that the client has sent completes its handshake but what is held; the app is told that the client has ended,
/// and may be gone before the connection is taken over.
#[test]
fn an_app_that_hears_of_clients_with_their_first_bytes() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/deferred.py");
    let mut command = stage.app.command("python3");
    let mut app = Running::spawn("deferred", command.arg(script).arg(Stage::PORT.to_string())).unwrap();
    app.wait_listening(Stage::PORT).unwrap();
    let agent = agent(&stage);
    for n in 0..100_usize {
        let mut http = Http::new(stage.client.connect(stage.addresses()[n % 2]).unwrap());
        let first = if n % 4 == 3 { &[][..] } else { &KEYED };
        for key in [first, &[], &KEYED] {
            let body = vec![b'a'; if n % 2 == 0 { 40_000 } else { 0 }];
            let answer = http
                .request("POST", "/", key, &body)
                .unwrap_or_else(|e| panic!("{n}: {e:#}\n{}", agent.log()));
            let from = answer.header("x-byway-preview").map_or("STABLE", |_| "PREVIEW");
            assert_eq!(from, if key.is_empty() { "STABLE" } else { "PREVIEW" }, "{n}");
        }
    }
    assert_eq!(counter(&stage, "directMissed"), 0, "{}\n{}", agent.log(), Agent::debug_routes());
    assert!(counter(&stage, "directTaken") > 90, "{}", Agent::debug_routes());
}

#[test]
fn behind_a_masquerade_the_client_is_whoever_the_pod_sees() {
    let Some(case) = case() else { return };
    let (node, far) = (case.stage.net.node(), FarClient::new(&case.stage.net, Duration::ZERO, 0).unwrap());
    for rule in [
        "add table inet hidden",
        "add chain inet hidden post { type nat hook postrouting priority 100; }",
        "add rule inet hidden post tcp dport 8080 masquerade",
    ] {
        assert!(node.command("nft").arg(rule).status().unwrap().success(), "{rule}");
    }
    let to = case.stage.addresses()[0];
    let clients: Vec<_> =
        (0..20).map(|_| Http::new(far.netns().run(move || TcpStream::connect(to)).unwrap())).collect();
    for mut http in clients {
        let own = http.stream().local_addr().unwrap().ip().to_string();
        for key in [&[][..], &KEYED, &[], &KEYED] {
            let answer = http.get("/", key).unwrap().text();
            assert_eq!(name(&answer), if key.is_empty() { "STABLE" } else { "PREVIEW" });
            assert!(!answer.contains(&own), "it is hidden: {answer}");
        }
    }
    let went = counter(&case.stage, "directTaken") + steered(&case.stage);
    assert_eq!(went, 20, "{}", Agent::debug_routes());
}

#[test]
fn without_the_right_to_send_packets_or_to_repair_they_go_through_the_agent() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    const AGENT: &str = "through the agent (Kernel)";
    for (right, way) in [("audit_read", "straight to the app"), ("net_raw", AGENT), ("net_admin", AGENT)] {
        let agent = stage.agent().args(["--mode", "auto"]).without_capability(right);
        let agent = agent.start(&stage.routes()).unwrap();
        stage.wait_answered_by("PREVIEW").unwrap();
        let told = Agent::debug_routes();
        assert!(told.contains(&format!("connections go {way}")), "{right}: {told}\n{}", agent.log());
        assert_eq!(agent.log().contains("CAP_NET_RAW"), way == AGENT, "{}", agent.log());
    }
}

#[test]
fn requests_are_counted_where_they_went() {
    let Some(case) = case() else { return };
    let mut http = case.connect();
    for _ in 0..5 {
        http.get("/", &[]).unwrap();
    }
    http.get("/", &KEYED).unwrap();
    assert_eq!(counter(&case.stage, "appRequests"), 5, "{}", Agent::debug_routes());
    assert_eq!(counter(&case.stage, "previewRequests"), 1);
    assert_eq!(counter(&case.stage, "directTaken"), 1);
    let status: serde_json::Value = serde_json::from_slice(&case.agent.get("/status").unwrap().body).unwrap();
    assert_eq!(status["targets"][0]["ways"], serde_json::json!({ "Direct": [Stage::PORT] }));
}

#[test]
fn beyond_the_most_they_go_through_the_agent() {
    if needs_root() {
        return;
    }
    const MOST: usize = 16;
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let most = MOST.to_string();
    let _agent =
        stage.agent().args(["--mode", "direct", "--max-direct", &most]).start(&stage.routes()).unwrap();
    let to = stage.addresses();
    let connect = |n: usize| Http::new(stage.client.connect(to[n % 2]).unwrap());
    let mut open: Vec<Http> = (0..3 * MOST).map(connect).collect();
    for key in [&[][..], &KEYED, &[]] {
        let answers = open.iter_mut().map(|http| http.get("/", key).unwrap().text());
        let of_app = answers.filter(|it| name(it) == "STABLE").count();
        // A clone takes a place of its own: where there is none the app keeps the connection, which is counted.
        let missed = counter(&stage, "directMissed") as usize;
        assert_eq!(of_app, if key.is_empty() { 3 * MOST } else { missed }, "{}", Agent::debug_routes());
    }
    assert_eq!(told(&stage, "steered", "Direct"), MOST as u64, "{}", Agent::debug_routes());
    assert_eq!(steered(&stage), 2 * MOST as u64, "{}", Agent::debug_routes());
    assert_eq!(counter(&stage, "directTaken") + counter(&stage, "directMissed"), MOST as u64);
    drop(open);
    // Places are free again.
    let direct = || {
        assert_eq!(name(&connect(0).get("/", &KEYED).unwrap().text()), "PREVIEW");
        (told(&stage, "steered", "Direct") > MOST as u64).then_some(())
    };
    assert!(eventually(Duration::from_secs(10), direct).is_some(), "{}", Agent::debug_routes());
}
