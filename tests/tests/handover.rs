//! Attach, detach, drain and upgrade under load: no request fails, and nobody sees a byte that is not the app's.

use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{
    Agent, End, FarClient, Http, Load, Outcome, Plan, Raw, Routes, Stage, dials, eventually, needs_root,
};

const SOON: Duration = Duration::from_secs(10);
/// As long as a target takes to let go, and a little.
const SETTLED: Duration = Duration::from_millis(3600);

/// Loads of all kinds, without a key: what they get is the app's alone.
fn loads(stage: &Stage) -> Vec<Load> {
    let to = stage.addresses();
    vec![
        Plan::to(to).clients(2).start(&stage.client),
        Plan::to(to).clients(4).kept().pause(Duration::from_millis(1)).start(&stage.client),
        Plan::to(to).clients(2).kept().body(100_000).pause(Duration::from_millis(5)).start(&stage.client),
        Plan::to(to).clients(2).keyed(Stage::KEY).pause(Duration::from_millis(1)).start(&stage.client),
    ]
}

fn none_failed(what: &str, loads: Vec<Load>) -> Vec<Outcome> {
    let outcomes: Vec<_> = loads.into_iter().map(Load::stop).collect();
    for outcome in &outcomes {
        eprintln!("{what}: {outcome:?}");
    }
    for outcome in &outcomes {
        assert_eq!(outcome.failed(), 0, "{what}: {outcome:?}");
        assert!(outcome.total() > 50, "{what}: {outcome:?}");
    }
    assert!(
        outcomes[..3].iter().all(|o| o.of("PREVIEW") == 0),
        "{what}: a request without a key was steered"
    );
    outcomes
}

#[test]
fn attach_and_detach_under_load() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let agent = Agent::start(&stage.net, &stage.previews()).unwrap();
    let loads = loads(&stage);
    for round in 0..12 {
        agent.write_routes(&stage.routes()).unwrap();
        stage.wait_answered_by("PREVIEW").unwrap();
        sleep(Duration::from_millis(100));
        agent.write_routes(&stage.previews()).unwrap();
        stage.wait_answered_by("STABLE").unwrap();
        // Attached again while the last one still lets go, and after it.
        sleep(if round % 4 == 3 { SETTLED } else { Duration::from_millis(50) });
    }
    let outcomes = none_failed("attach and detach", loads);
    assert!(outcomes[3].of("PREVIEW") > 50, "{outcomes:?}");
    assert!(eventually(SOON, || (dials(agent.pid()).ok()? == 0).then_some(())).is_some());
}

#[test]
fn upgrade_under_load() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut agent = stage.start_agent().unwrap();
    let loads = loads(&stage);
    for _ in 0..10 {
        let next = stage.start_agent().unwrap();
        agent.sigterm().unwrap();
        let ended = eventually(Duration::from_secs(30), || agent.ended().unwrap());
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{}", agent.log());
        agent = next;
        stage.wait_answered_by("PREVIEW").unwrap();
    }
    let outcomes = none_failed("upgrade", loads);
    assert!(outcomes[3].of("PREVIEW") > 500, "{outcomes:?}");
    assert!(eventually(SOON, || (dials(agent.pid()).ok()? == 0).then_some(())).is_some());
}

#[test]
fn on_a_link_with_delay_and_loss() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let far = FarClient::new(&stage.net, Duration::from_millis(4), 10).unwrap();
    let to = stage.addresses();
    let mut agent = stage.start_agent().unwrap();
    let loads = vec![
        Plan::to(to).clients(12).start_in(far.netns()),
        Plan::to(to).clients(6).kept().start_in(far.netns()),
        Plan::to(to).clients(2).kept().body(100_000).start_in(far.netns()),
        Plan::to(to).clients(4).kept().keyed(Stage::KEY).start_in(far.netns()),
    ];
    for _ in 0..3 {
        sleep(Duration::from_millis(500));
        agent.write_routes(&stage.previews()).unwrap();
        sleep(SETTLED);
        agent.write_routes(&stage.routes()).unwrap();
        stage.wait_answered_by("PREVIEW").unwrap();
    }
    for _ in 0..3 {
        let next = stage.start_agent().unwrap();
        agent.sigterm().unwrap();
        let begun = Instant::now();
        let ended = eventually(Duration::from_secs(30), || agent.ended().unwrap());
        assert!(ended.is_some(), "{:?}\n{}", begun.elapsed(), agent.log());
        agent = next;
    }
    none_failed("4 ms, 1 % lost", loads);
}

/// Those that go through it.
#[test]
fn a_drain_ends_kept_connections_between_requests() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut agent =
        stage.agent().args(["--mode", "proxy", "--drain-deadline", "20"]).start(&stage.routes()).unwrap();
    let mut kept: Vec<_> = (0..20)
        .map(|n| {
            let mut http = Http::new(stage.client.connect(stage.addresses()[n % 2]).unwrap());
            http.get("/", &[]).unwrap();
            http
        })
        .collect();
    agent.sigterm().unwrap();
    sleep(Duration::from_millis(500));
    assert_eq!(agent.get("/readyz").unwrap().status, 503);
    assert_eq!(agent.get("/healthz").unwrap().status, 200);
    stage.wait_answered_by("STABLE").unwrap();
    for (n, http) in kept.iter_mut().enumerate() {
        let keyed = [("x-byway-key", Stage::KEY)];
        let response = http.get("/", if n % 4 == 0 { &keyed } else { &[] }).unwrap();
        assert_eq!(response.header("connection"), Some("close"), "{n}: {response:?}");
        let name = if n % 4 == 0 { "PREVIEW" } else { "STABLE" };
        assert!(response.text().starts_with(name), "{n}: {response:?}");
        let stream = http.stream().try_clone().unwrap();
        assert_eq!(Raw::new(stream).unwrap().receive(SOON).end, End::Fin);
    }
    drop(kept);
    let ended = eventually(SOON, || agent.ended().unwrap());
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}

#[test]
fn a_drain_comes_to_its_end() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut agent =
        stage.agent().args(["--mode", "proxy", "--drain-deadline", "4"]).start(&stage.routes()).unwrap();
    let mut idle = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    idle.get("/", &[]).unwrap();
    let begun = Instant::now();
    agent.sigterm().unwrap();
    let ended = eventually(SOON, || agent.ended().unwrap());
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(idle.get("/", &[]).is_err());
    stage.wait_answered_by("STABLE").unwrap();
}

/// Started at the same time they do not see each other at first: still no dial of one is steered by the other.
#[test]
fn two_agents_that_start_at_once_do_not_dial_each_other() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let app = stage.start_app().unwrap();
    let routes: Routes = stage.routes();
    let mut both = [0, 1].map(|_| stage.agent().spawn(&routes).unwrap());
    let settled = eventually(Duration::from_secs(20), || {
        let up = both.iter_mut().all(|agent| {
            agent.ended().unwrap().is_some() || agent.get("/readyz").is_ok_and(|r| r.status == 200)
        });
        up.then_some(())
    });
    assert!(settled.is_some(), "{}\n{}", both[0].log(), both[1].log());
    let before = app.accepted();
    for n in 0..50 {
        let answer = stage.ask(stage.addresses()[n % 2], None).unwrap().text();
        assert!(answer.starts_with("STABLE"), "{answer}");
    }
    assert_eq!(app.accepted() - before, 50);
    let running: Vec<_> = both.iter_mut().filter_map(|a| a.ended().unwrap().is_none().then_some(a)).collect();
    for agent in running {
        let accepted = agent.metric("byway_agent_connections_accepted_total", "").unwrap();
        assert!(accepted <= 60.0, "{accepted}");
    }
}
