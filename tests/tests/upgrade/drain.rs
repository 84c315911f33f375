//! What a drain does to connections that are open, one kind at a time.

use std::io::{Read, Write};
use std::thread::sleep;
use std::time::Duration;

use byway_tests::{Agent, End, Http, Preview, Raw, eventually};

use crate::clients::{Kept, ask};
use crate::server::{PIECE, piece};
use crate::{KEY, NAME, PORT, SOON, Stage, keyed};

const DRAIN: Duration = Duration::from_secs(60);

/// The next agent knows the newest routes: so must the old one, for as long as it decides anything.
#[test]
fn a_draining_agent_follows_its_routes() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.servers();
    let agent = stage.agent(DRAIN);
    let to = stage.to(PORT);
    let mut open: Vec<Kept> = (0..3).map(|_| Kept::default()).collect();
    let ask = |kept: &mut Kept, is_keyed| stage.client.run(|| ask(kept, to, is_keyed, &[]));
    open.iter_mut().for_each(|kept| ask(kept, true).unwrap());
    agent.sigterm().unwrap();
    sleep(Duration::from_millis(500));
    ask(&mut open[0], true).unwrap();

    // The preview has ended: its requests are the app's.
    agent.write_routes(&stage.routes_to(Preview::new(NAME, "pr-2").backend(&stage.preview))).unwrap();
    sleep(Duration::from_secs(1));
    let answer = stage.client.run(|| open[1].http(to).unwrap().get("/", keyed(true))).unwrap();
    assert_eq!(answer.text(), "APP 0");
    // And what is steered no more stays open, as the app's.
    agent.write_routes(&byway_tests::Routes::new()).unwrap();
    sleep(Duration::from_secs(1));
    let answer = stage.client.run(|| open[2].http(to).unwrap().get("/", keyed(true))).unwrap();
    assert_eq!(answer.text(), "APP 0");
    assert_eq!(answer.header("connection"), Some("close"));
}

/// An answer may be complete before its request is.
#[test]
fn an_upload_whose_answer_came_early_is_not_cut_short() {
    let Some(stage) = Stage::new() else { return };
    let listener = stage.app.run(|| std::net::TcpListener::bind(("::", PORT))).unwrap();
    let mut agent = stage.agent(DRAIN);
    let mut http = Http::new(stage.client.connect(stage.to(PORT)).unwrap());
    let (mut app, _) = listener.accept().unwrap();
    agent.sigterm().unwrap();
    sleep(Duration::from_millis(500));
    const PIECES: usize = 40;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", PIECES * PIECE);
    http.send(head.as_bytes()).unwrap();
    app.read_exact(&mut vec![0; head.len()]).unwrap();
    app.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").unwrap();
    assert_eq!(http.response("POST").unwrap().header("connection"), None);
    for n in 0..PIECES {
        sleep(Duration::from_millis(75));
        http.send(&piece(n)).unwrap();
        let mut came = vec![0; PIECE];
        app.read_exact(&mut came).unwrap();
        assert_eq!(came, piece(n));
    }
    // The next answer says that it is the last, where the connection is the agent's.
    http.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    app.read_exact(&mut [0; 10]).unwrap();
    app.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    let last = (!Agent::goes_straight()).then_some("close");
    assert_eq!(http.response("GET").unwrap().header("connection"), last);
    drop(http);
    let ended = eventually(SOON, || agent.ended().unwrap());
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}

/// Nothing ends an idle connection but the deadline, so no request meets its end on the way.
#[test]
fn idle_connections_live_until_the_deadline() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.servers();
    let agent = stage.agent(Duration::from_secs(5));
    let mut idle = Raw::new(stage.client.connect(stage.to(PORT)).unwrap()).unwrap();
    // Keyed, so that the connection is the agent's however it began.
    idle.send(format!("GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: {KEY}\r\n\r\n")).unwrap();
    assert!(idle.receive_until(SOON, |bytes| bytes.ends_with(b"PREVIEW 0")).bytes.len() > 10);
    agent.sigterm().unwrap();
    assert_eq!(idle.receive(Duration::from_secs(4)).end, End::Timeout);
    assert_eq!(idle.receive(SOON).end, End::Fin);
}
