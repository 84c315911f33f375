//! Whatever happens to the agent, new connections reach the app.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{Agent, Http, Loaded, Plan, Stage, agent_listens, eventually, needs_root, netstat};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn killed_forty_times_under_load() {
    if needs_root() {
        return;
    }
    const KILLS: u32 = 40;
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let load = Plan::to(stage.addresses()).clients(3).start(&stage.client);
    let (mut loading, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..KILLS {
        let begun = Instant::now();
        let mut agent = stage.start_agent().unwrap();
        loading += begun.elapsed();
        slowest = slowest.max(begun.elapsed());
        sleep(Duration::from_millis(150));
        let loaded = Loaded::by(agent.pid()).unwrap();
        assert!(loaded.programs.len() >= 5 && loaded.links.len() >= 4, "{loaded:?}");
        agent.sigkill();
        let left =
            eventually(SOON, || (loaded.left().is_empty() && !agent_listens(&stage.app)).then_some(()));
        assert!(left.is_some(), "left after SIGKILL: {:?}", loaded.left());
    }
    let outcome = load.stop();
    eprintln!(
        "{KILLS} kills at {:.0} connections/s: {outcome:?}; an agent is ready after {:?}, at most {slowest:?}",
        outcome.rate(),
        loading / KILLS
    );
    assert!(outcome.rate() > 1000.0 || std::env::var_os("CI").is_some(), "{}", outcome.rate());
    assert_eq!((outcome.refused, outcome.late, outcome.wrong.len()), (0, 0, 0), "{outcome:?}");
    // Those that the agent had accepted, or that were on their way to it: a few each time, never a stretch.
    assert!(outcome.reset <= u64::from(KILLS) * 20, "{outcome:?}");
    for counter in ["TCPSynRetrans", "TCPTimeouts"] {
        assert_eq!(netstat(&stage.client, "TcpExt:", counter), 0, "{counter}");
    }
    // The verifier takes a second for the programs of direct connections.
    let bearable = Duration::from_secs(if Agent::goes_straight() { 4 } else { 2 });
    assert!(loading / KILLS < bearable, "loading takes {:?}", loading / KILLS);
}

#[test]
fn hung_agent_holds_few_connections_and_is_ended() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut agent = stage.start_agent().unwrap();
    stage.wait_answered_by("PREVIEW").unwrap();
    let kept = stage.client.connect(stage.addresses()[0]).unwrap();
    let mut kept = Http::new(kept);
    // Keyed, so that the connection is the agent's however it began.
    kept.get("/", &[("x-byway-key", Stage::KEY)]).unwrap();

    // One client per connection: whoever is stuck does not ask again.
    agent.sigstop().unwrap();
    let hung = Instant::now();
    let load = Plan::to(stage.addresses()).clients(100).pause(Duration::from_millis(50)).start(&stage.client);
    let ended = eventually(SOON, || agent.ended().unwrap()).expect("the watchdog ends a hung agent");
    let took = hung.elapsed();
    sleep(Duration::from_millis(300));
    let outcome = load.stop();
    eprintln!("hung: ended with {ended} after {took:?}; {outcome:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    // Stuck ones are released by a reset when it is ended. Handshakes that two processors carry at the same moment
    // each see a place that is free: a few more than the limit.
    assert!(outcome.reset <= 32 + 8, "{outcome:?}");
    assert_eq!((outcome.refused, outcome.late, outcome.wrong.len()), (0, 0, 0), "{outcome:?}");
    assert!(outcome.of("STABLE") > 1000, "{outcome:?}");
    kept.get("/", &[]).unwrap_err();
}

#[test]
fn a_short_stop_is_no_hang() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut agent = stage.start_agent().unwrap();
    agent.sigstop().unwrap();
    sleep(Duration::from_millis(500));
    stage.wait_answered_by("STABLE").unwrap();
    agent.sigcont().unwrap();
    stage.wait_answered_by("PREVIEW").unwrap();
    assert!(agent.ended().unwrap().is_none());
}

#[test]
fn at_a_limit_new_connections_reach_the_app() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let agent = stage.agent().args(["--max-connections", "50"]).start(&stage.routes()).unwrap();
    holds_and_recovers(&stage, &agent, 200);
    let passed_on =
        |why| agent.metric("byway_agent_connections_passed_on_total", &format!("reason=\"{why}\"")).unwrap();
    let full = passed_on("Full");
    assert!(full > 50.0, "{full}");
    // The Previews of the target will say so, by this.
    let told =
        eventually(SOON, || agent.get("/status").unwrap().text().contains("\"passedOn\"").then_some(()));
    assert!(told.is_some(), "{}", agent.get("/status").unwrap().text());
    // It does not fall when the target goes, which takes three seconds.
    agent.write_routes(&stage.previews()).unwrap();
    for _ in 0..40 {
        assert!(passed_on("Full") >= full);
        sleep(Duration::from_millis(100));
    }
    assert_eq!(agent.metric("byway_agent_targets", "").unwrap(), 0.0);
    drop(agent);

    // Of memory: any agent has more than this.
    let agent = stage.agent().args(["--max-memory", "1"]).start(&stage.routes()).unwrap();
    stage.wait_answered_by("STABLE").unwrap();
    assert_eq!(agent.metric("byway_agent_steering", "").unwrap(), 0.0);
}

#[test]
fn without_descriptors_new_connections_reach_the_app() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    // The limit that the agent sets itself is above what it may open. More programs are more files.
    let files = if Agent::goes_straight() { 220 } else { 180 };
    let agent = stage.agent().args(["--max-connections", "100000"]).open_files(files).start(&stage.routes());
    let agent = agent.unwrap();
    holds_and_recovers(&stage, &agent, 200);
}

/// Opens connections until the agent takes no more: all of them are served. Closed, the agent takes new ones.
fn holds_and_recovers(stage: &Stage, agent: &Agent, connections: usize) {
    stage.wait_answered_by("PREVIEW").unwrap();
    let mut open = Vec::new();
    for n in 0..connections {
        let mut http = Http::new(stage.client.connect(stage.addresses()[n % 2]).unwrap());
        let answer = http.get("/", &[]).unwrap_or_else(|e| panic!("connection {n}: {e:#}")).text();
        assert!(answer.starts_with("STABLE"), "{answer}");
        open.push(http);
    }
    let by_app = |http: &mut Http| http.get("/", &[("x-byway-key", Stage::KEY)]).unwrap().text();
    let answers: Vec<_> = open.iter_mut().map(by_app).collect();
    let at_app = answers.iter().filter(|a| a.starts_with("STABLE")).count();
    eprintln!("of {connections} connections {at_app} passed the agent by");
    assert!(at_app > connections / 4 && at_app < connections, "{at_app}");
    drop(open);
    stage.wait_answered_by("PREVIEW").unwrap();
    assert_eq!(agent.metric("byway_agent_steering", "").unwrap(), 1.0);
}

#[test]
fn the_serving_process_ends_with_its_watchdog() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let agent = stage.start_agent().unwrap();
    let loaded = Loaded::by(agent.pid()).unwrap();
    assert_ne!(agent.pid(), agent.watchdog_pid());
    let watchdog = nix::unistd::Pid::from_raw(agent.watchdog_pid().try_into().unwrap());
    nix::sys::signal::kill(watchdog, nix::sys::signal::Signal::SIGKILL).unwrap();
    let gone = eventually(SOON, || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", agent.pid())).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    assert!(gone.is_some());
    assert!(eventually(SOON, || loaded.left().is_empty().then_some(())).is_some(), "{:?}", loaded.left());
    stage.wait_answered_by("STABLE").unwrap();
}
