//! A preview without a target: the pod is its own. Who carries the key reaches it, others are told how to.

use std::net::SocketAddr;
use std::time::Duration;

use byway_api::Unkeyed;
use byway_tests::{Agent, App, End, Http, Preview, Raw, Response, Routes, Stage, needs_root};

const PATIENCE: Duration = Duration::from_secs(10);
const KEYED: [(&str, &str); 1] = [("x-byway-key", Stage::KEY)];

struct Own {
    agent: Agent,
    app: App,
    stage: Stage,
}

impl Own {
    fn new() -> Self {
        let stage = Stage::new().unwrap();
        let app = App::start(&stage.app, "OWN", "[::]:8080").unwrap();
        let agent = Agent::start(&stage.net, &routes(&stage)).unwrap();
        Self { agent, app, stage }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.stage.app.ipv4.into(), Stage::PORT)
    }

    fn http(&self) -> Http {
        Http::new(self.stage.client.connect(self.address()).unwrap())
    }

    fn raw(&self) -> Raw {
        Raw::new(self.stage.client.connect(self.address()).unwrap()).unwrap()
    }
}

/// The pod is target and backend at once.
fn routes(stage: &Stage) -> Routes {
    let preview = Preview::new("demo/own", Stage::KEY).backend(&stage.app);
    let mut routes = Routes::new().preview(preview).target(&stage.app, &[Stage::PORT, 9000], &["demo/own"]);
    routes.0.targets[0].unkeyed = Unkeyed::NotFound;
    routes
}

fn is_refused(response: &Response, code: &str) {
    assert_eq!((response.status, response.header("x-byway-error")), (404, Some(code)), "{response:?}");
}

fn is_own(response: &Response) {
    assert!(response.status == 200 && response.text().starts_with("OWN"), "{response:?}");
    assert_eq!(response.header("x-byway-preview"), Some("demo/own"));
}

#[test]
fn the_key_leads_to_the_pod_itself_and_nothing_else_does() {
    if needs_root() {
        return;
    }
    let own = Own::new();
    let mut http = own.http();
    let refused = http.get("/", &[]).unwrap();
    is_refused(&refused, "NoKey");
    assert!(refused.text().contains("x-byway-key: KEY"), "{}", refused.text());
    assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
    // The connection goes on, over the one dial that there was.
    for _ in 0..3 {
        let answer = http.get("/", &KEYED).unwrap();
        is_own(&answer);
        let ip = own.stage.client.ipv4;
        assert!(answer.text().starts_with(&format!("OWN {ip}:")), "who called: {}", answer.text());
        is_refused(&http.get("/", &[("x-byway-key", "pr-2")]).unwrap(), "UnknownKey");
    }
    assert_eq!(own.app.accepted(), 1);
    assert_eq!(http.get("/", &[("cookie", "byway-key=pr-1")]).unwrap().status, 200);
    let status = own.agent.get("/status").unwrap().text();
    assert!(!status.contains("Loop"), "{status}");
    let requests = |to: &str| own.agent.metric("byway_agent_requests_total", to).unwrap();
    assert_eq!(
        (requests(r#"to="nobody""#), requests(r#"to="preview""#), requests(r#"to="app""#)),
        (4.0, 4.0, 0.0)
    );
}

#[test]
fn a_refused_request_takes_its_body_with_it() {
    if needs_root() {
        return;
    }
    let own = Own::new();
    let mut http = own.http();
    let body = vec![b'x'; 300_000];
    is_refused(&http.request("POST", "/", &[], &body).unwrap(), "NoKey");
    assert_eq!(http.request("POST", "/", &KEYED, &body).unwrap().body, body);
    // The body of a refused request looks like a keyed one.
    let smuggled = b"GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n\r\n";
    is_refused(&http.request("POST", "/", &[], smuggled).unwrap(), "NoKey");
    http.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    for _ in 0..40 {
        http.send(format!("{:x}\r\n{}\r\n", 10_000, "y".repeat(10_000)).as_bytes()).unwrap();
    }
    http.send(b"0\r\ntrailer: t\r\n\r\n").unwrap();
    is_refused(&http.response("POST").unwrap(), "NoKey");
    is_own(&http.get("/", &KEYED).unwrap());

    let head = http.request("HEAD", "/", &[], b"").unwrap();
    is_refused(&head, "NoKey");
    assert_ne!(head.header("content-length"), Some("0"));
    is_own(&http.get("/", &KEYED).unwrap());
    assert_eq!(own.app.accepted(), 1);
}

#[test]
fn what_would_take_long_is_answered_at_once_and_closed() {
    if needs_root() {
        return;
    }
    let own = Own::new();
    for (what, head) in [
        ("held back", "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"),
        ("long", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n"),
        ("of old", "GET / HTTP/1.0\r\n\r\n"),
        ("the last", "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
        ("a tunnel", "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\nconnection: close\r\n\r\n"),
        ("half a chunk", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
    ] {
        let mut raw = own.raw();
        raw.send(head).unwrap();
        let answer = raw.receive(PATIENCE);
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(
            text.starts_with("HTTP/1.1 404 ") && text.contains("connection: close\r\n"),
            "{what}: {text}"
        );
        assert_eq!(answer.end, End::Fin, "{what}");
    }
    // Who sends on all the same gets the answer, not a reset.
    let mut raw = own.raw();
    raw.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n").unwrap();
    let piece = vec![b'z'; 500_000];
    (0..10).for_each(|_| raw.send(&piece).unwrap());
    let answer = raw.receive(PATIENCE);
    assert!(answer.bytes.starts_with(b"HTTP/1.1 404 ") && answer.end == End::Fin, "{answer:?}");
    // A held-back body that is allowed to come.
    let mut http = own.http();
    http.send(b"POST / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nbody")
        .unwrap();
    assert_eq!(http.response("POST").unwrap().text(), "body");
}

#[test]
fn pipelined_answers_keep_their_order() {
    if needs_root() {
        return;
    }
    let own = Own::new();
    let keyed = "GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n\r\n";
    let plain = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    let head = "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n";
    let all = [keyed, keyed, plain, plain, keyed, head, plain, keyed].concat();
    let expected = [200, 200, 404, 404, 200, 404, 404, 200];
    for piece in [all.len(), 7, 1] {
        let mut http = own.http();
        for bytes in all.as_bytes().chunks(piece) {
            http.send(bytes).unwrap();
        }
        for (n, status) in expected.into_iter().enumerate() {
            let answer = http.response(if n == 5 { "HEAD" } else { "GET" }).unwrap();
            assert_eq!(answer.status, status, "answer {n} in pieces of {piece}");
            assert_eq!(answer.header("x-byway-preview").is_some(), status == 200);
        }
    }
    // And a client that says at once that this is all.
    let mut raw = own.raw();
    raw.send([keyed, plain].concat()).unwrap();
    raw.finish().unwrap();
    let answers = raw.receive(PATIENCE);
    let text = String::from_utf8_lossy(&answers.bytes).into_owned();
    let places = [text.find("OWN"), text.find("404 Not Found")];
    assert!(places[0].is_some() && places[0] < places[1] && answers.end == End::Fin, "{text}");
}

#[test]
fn what_is_not_http_passes_and_so_does_everything_without_an_agent() {
    if needs_root() {
        return;
    }
    let own = Own::new();
    let listener = own.stage.app.run(|| std::net::TcpListener::bind("0.0.0.0:9000")).unwrap();
    let echo = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
        }
    });
    let hello: &[u8] = &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0];
    for bytes in [hello, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut raw = Raw::new(own.stage.client.connect((own.stage.app.ipv4, 9000)).unwrap()).unwrap();
        raw.send(bytes).unwrap();
        assert_eq!(raw.receive_exact(bytes.len(), PATIENCE).bytes, bytes);
        raw.finish().unwrap();
        assert_eq!(raw.receive(PATIENCE).end, End::Fin);
    }
    echo.join().unwrap();

    // A caller of the same environment needs no key.
    let called = own.stage.client.ips();
    let routes = routes(&own.stage).environment(Stage::KEY, &[&own.stage.client]);
    own.agent.write_routes(&routes).unwrap();
    let by_origin = || own.http().get("/", &[]).ok().filter(|answer| answer.status == 200);
    let answer = byway_tests::eventually(PATIENCE, by_origin);
    assert!(answer.is_some(), "{called:?} {}", own.agent.log());
    is_refused(&own.http().get("/", &[("x-byway-key", "pr-2")]).unwrap(), "UnknownKey");

    let mut own = own;
    own.agent.sigkill();
    let open = || own.http().get("/", &[]).ok().filter(|answer| answer.status == 200);
    let answer = byway_tests::eventually(PATIENCE, open).unwrap();
    assert!(answer.text().starts_with("OWN") && answer.header("x-byway-preview").is_none(), "{answer:?}");
}
