//! What must hold however long it takes and however it is cut.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use byway_tests::Agent;

use crate::{GET, GET_KEYED, SOON, Stage, server, until};

#[test]
fn a_slow_client_does_not_fill_the_agent() {
    const SIZE: usize = 100 << 20;
    let Some(stage) = Stage::new() else { return };
    for pod in [&stage.app, &stage.preview] {
        server::serve(pod, |_, stream| {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").unwrap();
            (0..SIZE >> 20).all(|_| stream.write_all(&vec![7; 1 << 20]).is_ok())
        });
    }
    let agent = stage.agent();
    for request in [GET, GET_KEYED] {
        let mut raw = stage.raw();
        let before = agent.resident_kib().unwrap();
        raw.send(request).unwrap();
        let mut most = before;
        let (mut got, mut buffer) = (0, vec![0; 1 << 20]);
        while got < SIZE {
            let n = raw.stream().read(&mut buffer).unwrap();
            assert!(n > 0, "ended after {got} bytes");
            got += n;
            if got < 20 << 20 {
                thread::sleep(Duration::from_millis(10)); // slow, until everything that can fill up is full
            }
            most = most.max(agent.resident_kib().unwrap());
        }
        assert!(most - before < 4 << 10, "{before} KiB grew to {most}");
    }
}

#[test]
fn however_the_bytes_are_cut_the_answers_are_the_same() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let parts = prop::collection::vec(0..5_usize, 1..8);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..12);
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let all = runner.run(&(parts, cuts), |(parts, cuts)| {
        let messages: Vec<(String, String)> = parts.iter().map(|part| message(*part)).collect();
        let bytes: String = messages.iter().map(|(bytes, _)| bytes.as_str()).collect();
        let mut cuts: Vec<usize> =
            cuts.iter().map(|cut| cut.index(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let mut raw = stage.raw();
        for cut in cuts.windows(2).filter(|cut| cut[0] < cut[1]) {
            raw.send(&bytes[cut[0]..cut[1]]).unwrap();
            thread::sleep(Duration::from_micros(300));
        }
        raw.finish().unwrap();
        let received = raw.receive(SOON);
        let text = String::from_utf8_lossy(&received.bytes).into_owned();
        let answers: Vec<&str> = text
            .split("HTTP/1.1 200 OK\r\n")
            .skip(1)
            .map(|answer| {
                answer.split("\r\n\r\n").nth(1).unwrap_or_default().split(" #").next().unwrap_or_default()
            })
            .collect();
        let expected: Vec<&str> = messages.iter().map(|(_, answer)| answer.as_str()).collect();
        prop_assert_eq!(answers, expected, "{}", text);
        prop_assert_eq!(received.end, byway_tests::End::Fin);
        Ok(())
    });
    all.unwrap();
    let mut raw = stage.raw();
    raw.send(GET).unwrap();
    until(&mut raw, ".0");
}

/// A request, and what its answer begins with.
fn message(kind: usize) -> (String, String) {
    match kind {
        0 => (GET.to_owned(), "APP GET /app 0".to_owned()),
        1 => (GET_KEYED.to_owned(), "PREVIEW GET /keyed 0".to_owned()),
        2 => {
            let body = GET_KEYED.repeat(3);
            let head = format!("POST /app HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
            (head + &body, format!("APP POST /app {}", body.len()))
        }
        3 => {
            let body = GET.repeat(50);
            let head = format!(
                "PUT /k HTTP/1.1\r\ncookie: byway-key=pr-1\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            (head + &body, format!("PREVIEW PUT /k {}", body.len()))
        }
        _ => {
            let head = "POST /c HTTP/1.1\r\nbaggage: byway-key=pr-1\r\ntransfer-encoding: chunked\r\n\r\n";
            let body = "5;a=b\r\nhello\r\n0\r\n\r\n";
            (format!("{head}{body}"), format!("PREVIEW POST /c {}", body.len()))
        }
    }
}

/// A worker walks 3,529 ports of the one address that a dial over IPv6 can come from.
#[test]
fn more_connections_over_ipv6_than_a_worker_has_ports_to_walk() {
    const WALKED: f64 = 3_529.0;
    let Some(stage) = Stage::new() else { return };
    let listener = server::listen(&stage.app);
    let builder = Agent::builder(&stage.net).proxying().args(["--workers", "1"]);
    let agent = builder.start(&stage.routes(stage.preview())).unwrap();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let accepted = || agent.metric("byway_agent_connections_accepted_total", "").unwrap();
    let mut clients = Vec::new();
    while accepted() < WALKED + 200.0 {
        // In no burst: what the agent is too slow for reaches the app without it.
        clients.extend((0..50).map(|_| stage.client.connect((stage.app.ipv6, server::PORT)).unwrap()));
        assert!(clients.len() < 6000, "{} of {} are the agent's", accepted(), clients.len());
        thread::sleep(Duration::from_millis(20));
    }
    let open = || agent.metric("byway_agent_connections_open", "").unwrap();
    assert_eq!((open(), agent.metric("byway_agent_dials_failed_total", "").unwrap()), (accepted(), 0.0));
}
