//! Nobody notices the agent: exchanges of raw bytes between a client and a server, played without the agent and
//! then through it. What each end read, and how it saw the connection end, must be the same to the byte.
//!
//! [`corpus`] is the table of exchanges, [`play`] plays one.

mod corpus;
mod play;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use byway_tests::{Agent, Net, Pod, Preview, Routes, needs_root};
use corpus::{Exchange, corpus};
use play::{Record, Wire};
use socket2::SockRef;

/// Exchanges at the same time, each with a port of its own. Most of their time is waiting.
const LANES: u16 = 24;
const FIRST_PORT: u16 = 9000;

#[test]
fn the_bytes_and_the_ends_are_those_without_the_agent() {
    if needs_root() {
        return;
    }
    let net = Net::new().unwrap();
    let [app, preview, client] = &net.pods(["app", "preview", "client"]).unwrap();
    let ports: Vec<u16> = (FIRST_PORT..FIRST_PORT + LANES).collect();
    let listen = |port: &u16| {
        let listener = app.run(|| TcpListener::bind(("::", *port))).unwrap();
        // A connection that never comes is a failure, not a hang.
        SockRef::from(&listener).set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        listener
    };
    let listeners: Vec<TcpListener> = ports.iter().map(listen).collect();

    let corpus = corpus();
    let names: BTreeMap<_, _> = corpus.iter().map(|exchange| (exchange.name, ())).collect();
    assert_eq!(names.len(), corpus.len(), "every exchange has a name of its own");
    assert!(corpus.len() >= 60, "{}", corpus.len());

    let without = app.ips().map(|ip| play_all(&corpus, client, ip, &listeners, &[]));
    for (exchange, record) in corpus.iter().zip(&without[0]).chain(corpus.iter().zip(&without[1])) {
        assert!(
            record.stuck.is_empty(),
            "{}: {:?} wait for ever without the agent",
            exchange.name,
            record.stuck
        );
    }
    let routes = Routes::new().preview(Preview::new("staging/redesign", "pr-1").backend(preview)).target(
        app,
        &ports,
        &["staging/redesign"],
    );
    // This is about bytes: a machine that is too busy for heartbeats must not end it.
    let agent = Agent::builder(&net).args(["--no-watchdog", "--max-backlog=1024"]).start(&routes).unwrap();
    let mut differences = Vec::new();
    for (ip, without) in app.ips().into_iter().zip(&without) {
        let through = play_all(&corpus, client, ip, &listeners, without);
        for ((exchange, without), through) in corpus.iter().zip(without).zip(&through) {
            let found = compare(without, through).map(|it| format!("{}, by {ip}: {it}", exchange.name));
            differences.extend(found);
        }
    }
    let played = 2 * corpus.len();
    let accepted = agent.metric("byway_agent_connections_accepted_total", "").unwrap();
    // On a machine so busy that a heartbeat is late, the kernel passes some on to the app, as it should.
    let went_through = accepted >= played as f64 * 0.8;
    assert!(
        Agent::goes_straight() || went_through,
        "{accepted} of {played} exchanges went through the agent"
    );
    eprintln!(
        "{} exchanges, {accepted} of {played} times through the agent: {} differences",
        corpus.len(),
        differences.len()
    );
    assert!(differences.is_empty(), "{}\n{}", differences.join("\n"), agent.log());
}

/// What is not the same, in words.
fn compare(without: &Record, through: &Record) -> impl Iterator<Item = String> {
    let ends = [("client", &without.client, &through.client), ("server", &without.server, &through.server)];
    let seen = ends.into_iter().filter(|(_, without, through)| without != through);
    let seen =
        seen.map(|(end, without, through)| format!("the {end}\n  without {without}\n  through {through}"));
    let stuck = (!through.stuck.is_empty()).then(|| format!("the steps {:?} wait for ever", through.stuck));
    seen.chain(stuck)
}

/// Plays every exchange; `expected` is what each must come to, where that is known.
fn play_all(
    corpus: &[Exchange],
    client: &Pod,
    ip: IpAddr,
    listeners: &[TcpListener],
    expected: &[Record],
) -> Vec<Record> {
    let next = AtomicUsize::new(0);
    let records = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for listener in listeners {
            scope.spawn(|| {
                let to = SocketAddr::new(ip, listener.local_addr().unwrap().port());
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(exchange) = corpus.get(i) else { return };
                    let record = Wire::connect(client, to, listener).play(&exchange.script, expected.get(i));
                    records.lock().unwrap_or_else(PoisonError::into_inner).insert(i, record);
                }
            });
        }
    });
    records.into_inner().unwrap().into_values().collect()
}
