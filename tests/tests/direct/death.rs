//! The agent dies or hangs: direct connections see nothing of it, and one that is being taken over reaches the app or ends.

use std::{
    env,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use byway_tests::{Agent, End, Http, Loaded, Preview, Raw, Routes, Stage, eventually, needs_root};

use super::{KEYED, agent, any_address, counter, name, start, steered, told};

const SOON: Duration = Duration::from_secs(5);

/// What a client sees whose connection is being taken over.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// The app answers.
    App,
    /// The connection ends.
    Ends,
}

#[test]
fn at_every_step_of_a_takeover() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let server = byway_tests::Server::Go;
    let app = start(&stage, server);
    for (step, fate) in [
        ("held", Fate::App),
        ("cloned", Fate::App),
        ("taken", Fate::App),
        ("ended", Fate::Ends),
        ("ready", Fate::Ends),
        ("given", Fate::Ends),
    ] {
        for to in stage.addresses() {
            let died = eventually(Duration::from_secs(60), || dies_at(&stage, step, &fate, to));
            assert!(died.is_some(), "no agent had the time to die at {step}");
        }
    }
    assert_eq!(app.log(), "", "the app noticed something");
}

/// Nothing on a machine that is too busy to run the agent in time: then the key reaches the app, and nobody dies.
fn dies_at(stage: &Stage, step: &str, fate: &Fate, to: SocketAddr) -> Option<()> {
    let args = ["--mode", "direct", "--die-at", step];
    let mut agent = stage.agent().args(args).start(&stage.routes()).unwrap();
    let mut http = Http::new(stage.client.connect(to).unwrap());
    assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
    let mut others: Vec<Http> = (0..50).map(|_| Http::new(stage.client.connect(to).unwrap())).collect();
    others.iter_mut().for_each(|it| drop(it.get("/", &[]).unwrap()));
    let begun = Instant::now();
    let answer = http.get("/", &KEYED).map(|it| name(&it.text()).to_owned());
    let took = begun.elapsed();
    if steered(stage) + told(stage, "steered", "Stale") > 0 {
        return None;
    }
    match fate {
        Fate::App => assert_eq!(answer.as_deref().unwrap(), "STABLE", "{step}, {to}"),
        Fate::Ends => assert!(answer.is_err(), "{step}, {to}: {answer:?}"),
    }
    // 200 ms until the client sends again, and what a busy machine takes to end a process.
    assert!(took < Duration::from_secs(3), "{step}, {to}: {took:?}");
    let ended = eventually(Duration::from_secs(5), || agent.ended().unwrap());
    assert!(ended.is_some_and(|it| !it.success()), "it did not die at {step}");
    for other in &mut others {
        assert_eq!(name(&other.get("/", &KEYED).unwrap().text()), "STABLE", "{step}, {to}");
    }
    eprintln!("{step}, {to}: {fate:?} after {took:?}");
    Some(())
}

/// Stopped after the connection became the clone's, and before the app was told: the app has it again, and whoever goes on
/// later leaves it there.
#[test]
fn stopped_in_the_middle_of_a_takeover() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let app = start(&stage, byway_tests::Server::Go);
    for to in stage.addresses() {
        let stopped = eventually(Duration::from_secs(60), || stopped_at_taken(&stage, to));
        assert!(stopped.is_some(), "no agent had the time to take a connection over");
    }
    assert_eq!(app.log(), "", "the app noticed something");
}

/// As [`dies_at`].
fn stopped_at_taken(stage: &Stage, to: SocketAddr) -> Option<()> {
    let args = ["--mode", "direct", "--no-watchdog", "--stop-at", "taken"];
    let agent = stage.agent().args(args).start(&stage.routes()).unwrap();
    let mut http = Http::new(stage.client.connect(to).unwrap());
    assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
    let answer = http.get("/", &KEYED).map(|it| name(&it.text()).to_owned());
    agent.sigcont().unwrap();
    if steered(stage) + told(stage, "steered", "Stale") > 0 {
        return None;
    }
    assert_eq!(answer.unwrap(), "STABLE", "{}", agent.log());
    let missed = || (counter(stage, "directMissed") == 1).then_some(());
    assert!(eventually(SOON, missed).is_some(), "{}\n{}", agent.log(), Agent::debug_routes());
    assert_eq!(counter(stage, "directTaken"), 0);
    for key in [&KEYED[..], &[]] {
        assert_eq!(name(&http.get("/", key).unwrap().text()), "STABLE", "{}", agent.log());
    }
    Some(())
}

/// `BYWAY_CONNECTIONS` says how many stay open.
fn connections() -> usize {
    env::var("BYWAY_CONNECTIONS").ok().and_then(|it| it.parse().ok()).unwrap_or(1000)
}

#[test]
fn under_load_with_many_connections() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = start(&stage, byway_tests::Server::Nginx);
    let open = |count: usize| -> Vec<Http> {
        let connect = |n: usize| {
            let mut http = Http::new(stage.client.connect(stage.addresses()[n % 2]).unwrap());
            assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
            http
        };
        (0..count).map(connect).collect()
    };
    for hangs in [false, true] {
        // Those that a late agent took from their start would end with it.
        let all_direct = || {
            let (agent, direct) = (agent(&stage), open(connections()));
            (steered(&stage) == 0).then_some((agent, direct))
        };
        let (mut agent, mut direct) = eventually(Duration::from_secs(60), all_direct).unwrap();
        let mut taken = open(20);
        for http in &mut taken {
            assert_eq!(name(&http.get("/", &KEYED).unwrap().text()), "PREVIEW");
        }
        let (stop, asked) = (AtomicBool::default(), AtomicU64::default());
        thread::scope(|scope| {
            let busy: Vec<Http> = direct.drain(..16).collect();
            for mut http in busy {
                let (stop, asked) = (&stop, &asked);
                scope.spawn(move || {
                    while !stop.load(Relaxed) {
                        assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
                        asked.fetch_add(1, Relaxed);
                    }
                });
            }
            thread::sleep(Duration::from_millis(300));
            if hangs {
                agent.sigstop().unwrap();
                thread::sleep(Duration::from_millis(600));
                // Its heartbeat is old: a key reaches the app at once.
                let begun = Instant::now();
                assert_eq!(name(&direct[0].get("/", &KEYED).unwrap().text()), "STABLE");
                assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
                agent.sigcont().unwrap();
            }
            agent.sigkill();
            let before = asked.load(Relaxed);
            let more = || (asked.load(Relaxed) > before + 200).then_some(());
            let goes_on = eventually(Duration::from_secs(20), more);
            stop.store(true, Relaxed);
            assert!(goes_on.is_some(), "{before} requests and no more");
        });
        for http in &mut taken {
            let begun = Instant::now();
            let _ = http.stream().write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            assert!(http.response("GET").is_err(), "its connection was the agent's");
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
        for http in &mut direct {
            assert_eq!(name(&http.get("/", &KEYED).unwrap().text()), "STABLE");
        }
    }
}

#[test]
fn no_client_that_comes_just_then_is_reset() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = start(&stage, byway_tests::Server::Nginx);
    for _ in 0..5 {
        let mut agent = agent(&stage);
        stage.wait_answered_by("PREVIEW").unwrap();
        let before = steered(&stage);
        let stop = AtomicBool::default();
        let failed = thread::scope(|scope| {
            let clients = (0..8).map(|n| {
                let (stage, stop) = (&stage, &stop);
                scope.spawn(move || {
                    let mut failed = Vec::new();
                    while !stop.load(Relaxed) {
                        let answer = stage.ask(stage.addresses()[n % 2], None);
                        failed.extend(answer.err());
                    }
                    failed
                })
            });
            let clients: Vec<_> = clients.collect();
            thread::sleep(Duration::from_millis(300));
            let late = steered(&stage) - before;
            agent.sigkill();
            thread::sleep(Duration::from_millis(500));
            stop.store(true, Relaxed);
            let failed: Vec<_> = clients.into_iter().flat_map(|it| it.join().unwrap()).collect();
            // Those that a late agent took from their start end with it.
            if late == 0 { failed } else { Vec::new() }
        });
        assert!(failed.is_empty(), "{} failed: {}", failed.len(), failed[0]);
    }
}

#[test]
fn in_the_middle_of_a_keyed_answer() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = start(&stage, byway_tests::Server::Go);
    let stuck = stage.net.pod("stuck").unwrap();
    let listener = stuck.run(|| TcpListener::bind(any_address())).unwrap();
    thread::spawn(move || {
        let mut open = Vec::new(); // nobody but the agent ends them
        for stream in listener.incoming().flatten() {
            let mut server = Raw::new(stream).unwrap();
            server.receive_until(SOON, |bytes| bytes.ends_with(b"\r\n\r\n"));
            server.send("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nlooks whole at any point").unwrap();
            open.push(server);
        }
    });
    let preview = Preview::new("demo/stuck", Stage::KEY).backend(&stuck);
    let routes = Routes::new().preview(preview).target(&stage.app, &[Stage::PORT], &["demo/stuck"]);
    for to in stage.addresses() {
        let mut agent = stage.agent().args(["--mode", "direct"]).start(&routes).unwrap();
        let mut clients: Vec<Raw> = (0..20)
            .map(|_| {
                let mut http = Http::new(stage.client.connect(to).unwrap());
                assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
                let mut raw = Raw::new(http.stream().try_clone().unwrap()).unwrap();
                raw.send(format!("GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: {}\r\n\r\n", Stage::KEY))
                    .unwrap();
                let begun = raw.receive_until(SOON, |bytes| bytes.ends_with(b"at any point"));
                assert!(begun.bytes.starts_with(b"HTTP/1.1 200"), "{begun:?}");
                raw
            })
            .collect();
        assert!(counter(&stage, "directTaken") > 15, "{}", Agent::debug_routes());
        agent.sigkill();
        for client in &mut clients {
            assert_eq!(client.receive(SOON).end, End::Reset, "{to}");
        }
    }
}

#[test]
fn a_successor_goes_on_with_what_the_one_before_it_followed() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut last = agent(&stage);
    for is_killed in [false, true] {
        let connect = |n: usize| {
            let mut http = Http::new(stage.client.connect(stage.addresses()[n % 2]).unwrap());
            assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
            http
        };
        // Those that a late agent takes from their start end with it.
        let all_direct = || {
            let before = steered(&stage);
            let open: Vec<Http> = (0..40).map(connect).collect();
            (steered(&stage) == before).then_some(open)
        };
        let mut open = eventually(Duration::from_secs(60), all_direct).unwrap();
        let next = agent(&stage);
        // Half of them have been idle since; both agents are there for the others.
        for http in open.iter_mut().skip(20) {
            assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
        }
        if is_killed {
            last.sigkill();
        } else {
            assert!(last.stop().unwrap().success());
        }
        last = next;
        for (n, http) in open.iter_mut().enumerate() {
            let answer = http.get("/", &KEYED).unwrap().text();
            assert_eq!(name(&answer), "PREVIEW", "{n}, killed: {is_killed}\n{}", Agent::debug_routes());
        }
    }
}

#[test]
fn what_it_had_to_let_go_is_looked_at_from_aside() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let agent = agent(&stage);
    let mut http = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
    agent.sigstop().unwrap();
    thread::sleep(Duration::from_millis(600));
    assert_eq!(name(&http.get("/", &KEYED).unwrap().text()), "STABLE");
    agent.sigcont().unwrap();
    assert_eq!(told(&stage, "steered", "Stale"), 1, "{}", Agent::debug_routes());
    let seen = eventually(Duration::from_secs(30), || {
        assert_eq!(name(&http.get("/", &KEYED).unwrap().text()), "STABLE");
        (told(&stage, "old", "missed") > 2).then_some(())
    });
    assert!(seen.is_some(), "{}", Agent::debug_routes());
}

/// What a killed agent leaves in the kernel is counted while others look for it, as they do on a real node.
#[test]
fn nothing_of_it_is_left() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    for _ in 0..10 {
        let mut agent = agent(&stage);
        stage.wait_answered_by("PREVIEW").unwrap();
        let loaded = Loaded::by(agent.pid()).unwrap();
        assert!(loaded.links.len() >= 8, "{loaded:?}");
        agent.sigkill();
        let left = eventually(SOON, || loaded.left().is_empty().then_some(()));
        assert!(left.is_some(), "left after SIGKILL: {:?}", loaded.left());
    }
}
