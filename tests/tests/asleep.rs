//! Requests to a preview that sleeps wait for it to wake, in their order and within bounds.

use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use byway_api::OnUnreachable;
use byway_tests::{Agent, App, Http, Peers, Pod, Preview, Response, Routes, Running, Stage, needs_root};
use socket2::SockRef;

const KEYED: [(&str, &str); 1] = [("x-byway-key", Stage::KEY)];
const NAME: &str = "demo/redesign";

/// With no pod of the preview yet, for so many seconds.
fn asleep(stage: &Stage, seconds: u32) -> Routes {
    with(stage, |route| route.wake_timeout_seconds = Some(seconds))
}

fn with(stage: &Stage, change: impl FnOnce(&mut byway_api::PreviewRoute)) -> Routes {
    let preview = Preview::new(NAME, Stage::KEY).with(change);
    Routes::new().preview(preview).target(&stage.app, &[Stage::PORT], &[NAME])
}

/// The same with a pod.
fn awake(stage: &Stage, seconds: u32) -> Routes {
    let mut routes = asleep(stage, seconds);
    routes.0.previews[0].revision = "2".to_owned();
    routes.0.previews[0].backends = stage.routes().0.previews[0].backends.clone();
    routes
}

fn start() -> Option<(Stage, App)> {
    if needs_root() {
        return None;
    }
    let stage = Stage::new().unwrap();
    let app = stage.start_app().unwrap();
    Some((stage, app))
}

fn connect(stage: &Stage) -> Http {
    Http::new(stage.client.connect(stage.addresses()[0]).unwrap())
}

fn is_asleep(answer: &Response, why: &str) {
    assert_eq!((answer.status, answer.header("x-byway-error")), (503, Some("asleep")), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("10"));
    let text = answer.text();
    assert!(text.starts_with("byway: preview demo/redesign ") && text.contains(why), "{text}");
}

#[test]
fn a_hundred_requests_wait_and_are_answered_in_their_order() {
    let Some((stage, _app)) = start() else { return };
    let agent = Agent::start(&stage.net, &asleep(&stage, 60)).unwrap();
    let before = agent.resident_kib().unwrap();
    let mut waiting: Vec<Http> = (0..50).map(|_| connect(&stage)).collect();
    let get = |key: &str| format!("GET / HTTP/1.1\r\nhost: a\r\n{key}\r\n");
    let (plain, keyed) = (get(""), get("x-byway-key: pr-1\r\n"));
    for http in &mut waiting {
        http.send([plain.as_str(), &keyed, &plain, &keyed].concat().as_bytes()).unwrap();
    }
    // What has no key is not held up by what waits elsewhere, nor by what comes behind it.
    for http in &mut waiting {
        assert!(http.response("GET").unwrap().text().starts_with("STABLE"));
    }
    thread::sleep(Duration::from_millis(500));
    assert!(connect(&stage).get("/", &[]).unwrap().text().starts_with("STABLE"));
    agent.write_routes(&awake(&stage, 60)).unwrap();
    for http in &mut waiting {
        for expected in ["PREVIEW", "STABLE", "PREVIEW"] {
            let answer = http.response("GET").unwrap();
            assert!(answer.text().starts_with(expected), "{answer:?} is not {expected}");
        }
    }
    let grown = agent.resident_kib().unwrap() - before;
    assert!(grown < 8 << 10, "{grown} KiB more");
    assert_eq!(agent.metric("byway_agent_requests_total", "to=\"preview\"").unwrap(), 100.0);
}

#[test]
fn a_body_waits_with_its_request() {
    let Some((stage, _app)) = start() else { return };
    let agent = Agent::start(&stage.net, &asleep(&stage, 60)).unwrap();
    let before = agent.resident_kib().unwrap();
    let mut http = connect(&stage);
    const SIZE: usize = 32 << 20;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\ncontent-length: {SIZE}\r\n\r\n");
    http.send(head.as_bytes()).unwrap();
    let mut writer = http.stream().try_clone().unwrap();
    let sent = thread::spawn(move || std::io::Write::write_all(&mut writer, &vec![b'a'; SIZE]));
    thread::sleep(Duration::from_secs(1));
    assert!(!sent.is_finished(), "somebody has read 32 MiB that nobody may have");
    let grown = agent.resident_kib().unwrap() - before;
    assert!(grown < 4 << 10, "{grown} KiB more");
    agent.write_routes(&awake(&stage, 60)).unwrap();
    let answer = http.response("POST").unwrap();
    assert_eq!(answer.header("x-byway-preview"), Some(NAME));
    assert!(answer.body == vec![b'a'; SIZE], "the preview sends it back");
    sent.join().unwrap().unwrap();
}

#[test]
fn who_never_wakes_is_told_and_the_connection_goes_on() {
    let Some((stage, _app)) = start() else { return };
    let agent = Agent::start(&stage.net, &asleep(&stage, 1)).unwrap();
    let mut http = connect(&stage);
    let begun = Instant::now();
    is_asleep(
        &http.get("/", &KEYED).unwrap(),
        "sleeps, and no pod of it was ready within 1 s (its wakeTimeout)",
    );
    let took = begun.elapsed();
    assert!((1.0..5.0).contains(&took.as_secs_f64()), "{took:?}");
    assert!(http.get("/", &[]).unwrap().text().starts_with("STABLE"));
    // Where the app stands in, it does after the same time.
    let stable = with(&stage, |route| {
        route.revision = "2".to_owned();
        route.wake_timeout_seconds = Some(1);
        route.on_unreachable = OnUnreachable::Stable;
    });
    agent.write_routes(&stable).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while http.get("/", &KEYED).unwrap().status != 200 {
        assert!(Instant::now() < until, "the app does not stand in");
    }
    // And one that ends meanwhile is waited for no longer.
    agent.write_routes(&asleep(&stage, 60)).unwrap();
    thread::sleep(Duration::from_secs(1));
    let mut http = connect(&stage);
    http.send(b"GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n\r\n").unwrap();
    thread::sleep(Duration::from_millis(200));
    let other = Preview::new("demo/other", "pr-2").backend(&stage.preview);
    agent
        .write_routes(&Routes::new().preview(other).target(&stage.app, &[Stage::PORT], &["demo/other"]))
        .unwrap();
    is_asleep(&http.response("GET").unwrap(), "has ended while it slept");
}

#[test]
fn a_client_that_leaves_is_forgotten_and_there_is_a_bound() {
    const MOST: usize = 1024;
    let Some((stage, _app)) = start() else { return };
    let agent = Agent::start(&stage.net, &asleep(&stage, 600)).unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n\r\n";
    let waiting: Vec<Http> = (0..MOST)
        .map(|_| {
            let mut http = connect(&stage);
            http.send(request).unwrap();
            http
        })
        .collect();
    let open = || agent.metric("byway_agent_connections_open", "").unwrap() as usize;
    let until = |what: &str, is: &dyn Fn(usize) -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !is(open()) {
            assert!(Instant::now() < end, "{what}: {} are open", open());
            thread::sleep(Duration::from_millis(50));
        }
    };
    until("all wait", &|open| open == MOST);
    thread::sleep(Duration::from_millis(500));
    is_asleep(&connect(&stage).get("/", &KEYED).unwrap(), "1024 requests on this node wait");
    for http in &waiting {
        SockRef::from(http.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }
    drop(waiting);
    until("all have left", &|open| open == 0);
    // There is room again, and who only half-closes still gets its answer.
    let mut http = connect(&stage);
    http.send(request).unwrap();
    http.stream().shutdown(Shutdown::Write).unwrap();
    thread::sleep(Duration::from_millis(300));
    agent.write_routes(&awake(&stage, 600)).unwrap();
    assert!(http.response("GET").unwrap().text().starts_with("PREVIEW"));
}

#[test]
fn an_agent_that_dies_or_stops_leaves_nobody_waiting() {
    let Some((stage, _app)) = start() else { return };
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n\r\n";
    for kills in [true, false] {
        let mut agent =
            Agent::builder(&stage.net).args(["--drain-deadline", "2"]).start(&asleep(&stage, 600)).unwrap();
        let mut http = connect(&stage);
        http.send(request).unwrap();
        thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        if kills {
            agent.sigkill();
        } else {
            agent.stop().unwrap();
        }
        assert!(http.response("GET").is_err());
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

#[test]
fn http2_waits_stream_by_stream() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let go = |pod: &Pod, name: &str, at: &str| {
        let program = Peers::Http2.program("http2-server").unwrap();
        Running::spawn(name, pod.command(program).args([name, at])).unwrap()
    };
    let mut app = go(&stage.app, "STABLE", "[::]:8080");
    app.wait_listening(Stage::PORT).unwrap();
    // Where it listens is not where it is called, too.
    let mut preview = go(&stage.preview, "PREVIEW", "[::]:9090");
    preview.wait_listening(9090).unwrap();
    let routes = asleep(&stage, 2);
    let agent = Agent::start(&stage.net, &routes).unwrap();
    let curl = |args: &[&str]| {
        let mut curl = stage.client.command("curl");
        curl.args(["-sS", "-i", "--max-time", "60", "--http2-prior-knowledge"]).args(args);
        let url = format!("http://{}/", stage.addresses()[0]);
        String::from_utf8(curl.arg(url).output().unwrap().stdout).unwrap()
    };
    let slept = curl(&["-H", "x-byway-key: pr-1"]);
    assert!(slept.starts_with("HTTP/2 503"), "{slept}");
    assert!(slept.contains("x-byway-error: asleep") && slept.contains("retry-after: 10"), "{slept}");
    assert!(slept.contains("sleeps, and no pod of it was ready within 2 s"), "{slept}");
    let grpc = curl(&["-H", "x-byway-key: pr-1", "-H", "content-type: application/grpc", "-X", "POST"]);
    assert!(grpc.starts_with("HTTP/2 200") && grpc.contains("grpc-status: 14"), "{grpc}");
    let mut routes = awake(&stage, 60);
    routes.0.previews[0].preview_ports = [(Stage::PORT, 9090)].into();
    thread::scope(|scope| {
        agent.write_routes(&asleep(&stage, 60)).unwrap();
        thread::sleep(Duration::from_secs(1));
        let waits: Vec<_> = (0..10).map(|_| scope.spawn(|| curl(&["-H", "x-byway-key: pr-1"]))).collect();
        thread::sleep(Duration::from_millis(500));
        assert!(curl(&[]).contains("STABLE"));
        agent.write_routes(&routes).unwrap();
        for wait in waits {
            let answer = wait.join().unwrap();
            assert!(answer.contains("PREVIEW"), "{answer}");
        }
    });
}
