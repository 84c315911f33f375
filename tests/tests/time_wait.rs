//! A connection per request, for longer than a closed one is remembered: the rate holds.

use std::thread::sleep;
use std::time::Duration;

use byway_tests::{Load, Outcome, Plan, Stage, dials, eventually, needs_root};

const PAUSE: Duration = Duration::from_millis(2);

/// Clients that close first leave the agent's side of each dial in TIME_WAIT, for a minute. IPv6 has one loopback
/// address and 28,000 ports: they come round several times.
#[test]
fn a_connection_per_request_for_more_than_a_minute() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let agent = stage.agent().args(["--mode", "proxy"]).start(&stage.routes()).unwrap();
    // Clients of their own addresses, and none too fast: a client has only so many ports, too, and searches them
    // for long once half of them are in TIME_WAIT.
    let clients = stage.net.pods(["one", "two", "three", "four"]).unwrap();
    let [v4, v6] = stage.addresses();
    let loads: Vec<Load> =
        clients.iter().map(|pod| Plan::to([v4, v6]).clients(1).pause(PAUSE).start(pod)).collect();
    let total = || loads.iter().map(|load| load.outcome().total()).sum::<u64>();
    let mut rates = Vec::new();
    for _ in 0..13 {
        let before = total();
        sleep(Duration::from_secs(5));
        rates.push((total() - before) / 5);
    }
    let outcomes: Vec<_> = loads.into_iter().map(Load::stop).collect();
    let accepted = agent.metric("byway_agent_connections_accepted_total", "").unwrap();
    eprintln!("requests/s every 5 s: {rates:?}, {accepted} through the agent");
    for outcome in &outcomes {
        assert_eq!(outcome.failed(), 0, "{outcome:?}");
        // One that is lost on a busy machine comes again after a second; a search for a free port would take longer.
        assert!(outcome.slowest_connect < Duration::from_secs(2), "{outcome:?}");
    }
    assert!(accepted >= outcomes.iter().map(Outcome::total).sum::<u64>() as f64 * 0.95, "{accepted}");
    let mean = |of: &[u64]| of.iter().sum::<u64>() / of.len() as u64;
    let (first, last) = (mean(&rates[..3]), mean(&rates[10..]));
    assert!(last * 2 > first, "the rate fell: {rates:?}");
    assert_eq!(agent.metric("byway_agent_dials_failed_total", "").unwrap(), 0.0);
    assert!(eventually(Duration::from_secs(10), || (dials(agent.pid()).ok()? == 0).then_some(())).is_some());
}
