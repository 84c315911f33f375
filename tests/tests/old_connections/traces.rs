//! What the observer leaves in the kernel: nothing when there is nothing to observe, and nothing when the agent is gone.

use std::time::Duration;

use aya::programs::loaded_programs;
use byway_tests::{Agent, Http, Loaded, Stage, eventually, needs_root};

use super::{KEYED, SOON, old, wait_observed, wait_old};

/// Whether the agent has an observer in the kernel.
pub(crate) fn is_observing(agent: &Agent) -> bool {
    let own = Loaded::by(agent.pid()).unwrap_or_default().programs;
    let named =
        loaded_programs().filter_map(Result::ok).filter(|it| it.name_as_str() == Some("byway_observe"));
    named.into_iter().any(|it| own.contains(&it.id()))
}

/// The filters at the app's interface.
fn filters(stage: &Stage) -> String {
    let output = stage.app.command("tc").args(["filter", "show", "dev", "eth0", "ingress"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_killed_agent_leaves_nothing() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut pooled = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    let mut agent = stage.start_agent().unwrap();
    wait_observed(&agent, true);
    let loaded = Loaded::by(agent.pid()).unwrap();
    agent.sigkill();
    assert!(eventually(SOON, || loaded.left().is_empty().then_some(())).is_some(), "{:?}", loaded.left());
    assert!(pooled.get("/", &KEYED).unwrap().text().starts_with("STABLE"));
}

#[test]
fn without_tcx_the_next_agent_removes_what_a_killed_one_left() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut pooled = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    let mut agent = stage.agent().args(["--clsact"]).start(&stage.routes()).unwrap();
    wait_observed(&agent, true);
    assert!(filters(&stage).contains("byway_observe"));
    agent.sigkill();
    assert!(pooled.get("/", &KEYED).unwrap().text().starts_with("STABLE"));
    drop(pooled);
    let agent = stage.start_agent().unwrap();
    let swept = eventually(SOON, || (!filters(&stage).contains("byway_observe")).then_some(()));
    assert!(swept.is_some(), "{}\n{}", filters(&stage), agent.log());
}

/// The agent reads nothing for a while: what has no room is counted, and nobody on the connection notices.
#[test]
fn a_full_ring_harms_nobody() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut pooled = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    let agent = stage.agent().args(["--no-watchdog"]).start(&stage.routes()).unwrap();
    wait_old(&agent, "open", 1);
    wait_observed(&agent, true);
    agent.sigstop().unwrap();
    let padding = "x".repeat(3000);
    for _ in 0..400 {
        let answer = pooled.get("/", &[KEYED[0], ("x-padding", &padding)]).unwrap();
        assert!(answer.text().starts_with("STABLE"));
    }
    assert!(old(&agent, "lost") > 0, "the ring has room for fewer");
    agent.sigcont().unwrap();
    let lost = old(&agent, "lost");
    wait_old(&agent, "missed", 400 - lost);
    // And then it goes on.
    pooled.get("/", &KEYED).unwrap();
    wait_old(&agent, "missed", 401 - lost);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(old(&agent, "lost"), lost);
}
