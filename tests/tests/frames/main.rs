//! Nobody notices the agent, frame by frame: exchanges of HTTP/2 between a client and a server that only record, played
//! without the agent, through it, and through it after another stream of the connection went to a preview. The frames
//! that each end got, and how it saw the connection end, must be the same.
//!
//! [`corpus`] is the table of exchanges, [`play`] plays one, [`frames`] writes and compares frames.

mod corpus;
mod frames;
mod play;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use byway_tests::{Agent, Net, Pod, Preview, Routes, needs_root};
use corpus::{Exchange, corpus};
use play::{Mode, Record, play};
use socket2::SockRef;

/// Exchanges at the same time, each with a port of its own. Most of their time is waiting.
const LANES: u16 = 16;
const FIRST_PORT: u16 = 9100;
const KEY: &str = "pr-1";

#[test]
fn the_frames_and_the_ends_are_those_without_the_agent() {
    if needs_root() {
        return;
    }
    let net = Net::new().unwrap();
    let [app, preview, client] = &net.pods(["app", "preview", "client"]).unwrap();
    let ports: Vec<u16> = (FIRST_PORT..FIRST_PORT + LANES).collect();
    let listen = |pod: &Pod, port: u16| {
        let listener = pod.run(|| TcpListener::bind(("::", port))).unwrap();
        // A connection that never comes is a failure, not a hang.
        SockRef::from(&listener).set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        listener
    };
    let listeners: Vec<TcpListener> = ports.iter().map(|port| listen(app, *port)).collect();
    for port in &ports {
        let listener = listen(preview, *port);
        SockRef::from(&listener).set_read_timeout(None).unwrap();
        thread::spawn(move || serve_previews(&listener));
    }

    let corpus = corpus();
    let names: BTreeSet<_> = corpus.iter().map(|exchange| &exchange.name).collect();
    assert_eq!(names.len(), corpus.len(), "every exchange has a name of its own");
    assert!(corpus.len() >= 80, "{}", corpus.len());

    let without = play_all(&corpus, client, app, &listeners, Mode::Direct, &[]);
    let name = "staging/redesign";
    let routes = Routes::new().preview(Preview::new(name, KEY).backend(preview)).target(app, &ports, &[name]);
    // This is about frames: a machine that is too busy for heartbeats must not end it, nor may a connection that is taken
    // over, which the server accepts once more.
    let agent =
        Agent::builder(&net).proxying().args(["--no-watchdog", "--max-backlog=1024"]).start(&routes).unwrap();
    let mut differences = Vec::new();
    for mode in [Mode::Unkeyed, Mode::Keyed] {
        let through = play_all(&corpus, client, app, &listeners, mode, &without);
        for ((exchange, without), through) in corpus.iter().zip(&without).zip(&through) {
            differences
                .extend(without.differs(through).map(|it| format!("{}, {mode:?}: {it}", exchange.name)));
        }
    }
    let accepted = agent.metric("byway_agent_connections_accepted_total", "").unwrap();
    let keyed = agent.metric("byway_agent_requests_total", "to=\"preview\"").unwrap();
    let played = corpus.len() as f64;
    eprintln!("{played} exchanges, {accepted} times through the agent, {keyed} after a keyed stream");
    assert!(accepted >= played * 1.6 && keyed >= played * 0.8, "{accepted} and {keyed} of {played}");
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

/// Answers the first request of each connection, and is silent from then on.
fn serve_previews(listener: &TcpListener) {
    while let Ok((mut stream, _)) = listener.accept() {
        thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            let mut has_answered = false;
            let mut got = Vec::new();
            let _ = stream.write_all(&frames::settings(&[]));
            while let Ok(n @ 1..) = stream.read(&mut bytes) {
                got.extend_from_slice(&bytes[..n]);
                let asked =
                    frames::parse(&got[got.len().min(frames::PREFACE.len())..]).iter().any(|it| it.kind == 1);
                if asked && !std::mem::replace(&mut has_answered, true) {
                    let _ = stream.write_all(&frames::headers(1, frames::END, &[0x88]));
                }
            }
        });
    }
}

/// Plays every exchange; `expected` is what each must come to, where that is known.
fn play_all(
    corpus: &[Exchange],
    client: &Pod,
    app: &Pod,
    listeners: &[TcpListener],
    mode: Mode,
    expected: &[Record],
) -> Vec<Record> {
    let next = AtomicUsize::new(0);
    let records = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for listener in listeners {
            scope.spawn(|| {
                let to = (app.ipv4, listener.local_addr().unwrap().port()).into();
                loop {
                    let i = next.fetch_add(1, Relaxed);
                    let Some(exchange) = corpus.get(i) else { return };
                    let record = play(exchange, client, to, listener, mode, expected.get(i));
                    records.lock().unwrap_or_else(PoisonError::into_inner).insert(i, record);
                }
            });
        }
    });
    records.into_inner().unwrap().into_values().collect()
}
