//! A preview that sleeps while nobody uses it: what is there of it, and what wakes it.

use std::time::{Duration, Instant};

use byway_api::{PreviewRequests, RequestCounts};
use byway_tests::eventually;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Space, Stage, condition, on_nodes, own_nodes, phase, shared, workload};

/// The agent of a node has seen a request so long ago.
fn used(stage: &Stage, space: &Space<'_>, node: &str, requests: u64, ago: SignedDuration) {
    let at = (Timestamp::now() - ago).as_second();
    let word = PreviewRequests {
        preview: format!("{}/pr-1", space.name),
        counts: RequestCounts { requests, ..RequestCounts::default() },
        last_request_time: Timestamp::from_second(at).ok(),
    };
    stage.sim.agent(node, |agent| agent.requests = vec![word.clone()]);
}

fn replicas(space: &Space<'_>, child: &str) -> Value {
    space.get("Deployment", child).unwrap()["spec"]["replicas"].clone()
}

#[test]
fn it_sleeps_from_the_start_wakes_for_a_request_and_falls_asleep_again() {
    let (space, nodes) = (shared().space("sleeper"), own_nodes(1));
    space.apply(on_nodes(workload("Deployment", "app", 1), nodes));
    space.wait_pods("app=app", 1);
    space.preview(
        "pr-1",
        json!({ "replicas": 2, "idle": { "sleepAfter": "30s", "startAsleep": true, "wakeTimeout": "45s" } }),
    );
    let asleep = space.wait("pr-1", "asleep", |it| phase(it) == "Asleep");
    let ready = condition(&asleep, "Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("True"), &json!("Asleep")));
    let said = ready["message"].as_str().unwrap();
    assert!(said.contains("a request with its key wakes it, and waits for it 45s at most"), "{said}");
    let child = asleep["status"]["deployment"].as_str().unwrap().to_owned();
    assert_eq!(replicas(&space, &child), 0);
    assert!(space.list("Pod", "byway.dev/preview=pr-1").is_empty());
    let route = space.routes("pr-1").remove(0).entry;
    assert_eq!((&route["wakeTimeoutSeconds"], &route["backends"]), (&json!(45), &json!([])));

    // Who waits is told by the agent; the controller has it wake within a moment.
    let begun = Instant::now();
    used(shared(), &space, &nodes[0], 1, SignedDuration::ZERO);
    let routed = eventually(PATIENCE, || {
        let backends = space.routes("pr-1").remove(0).entry["backends"].as_array().map_or(0, Vec::len);
        (backends > 0).then_some(())
    });
    assert!(routed.is_some(), "nobody is routed to");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let awake = space.wait_ready("pr-1");
    assert_eq!(condition(&awake, "PodsReady")["message"], "2 of 2 pods are ready");

    // The last request is old enough, and so is what the agent may not have told yet.
    let seen = awake["status"]["lastRequestTime"].as_str().unwrap().parse::<Timestamp>().unwrap();
    space.wait("pr-1", "used", |it| it["status"]["traffic"]["requests"] == 1);
    let asleep = eventually(Duration::from_secs(180), || {
        let it = space.get("Preview", "pr-1").unwrap();
        (phase(&it) == "Asleep").then_some(())
    });
    assert!(asleep.is_some(), "it never falls asleep");
    let slept_after = Timestamp::now().duration_since(seen).as_secs();
    assert!((119..150).contains(&slept_after), "{slept_after} s");
    let none = eventually(PATIENCE, || (replicas(&space, &child) == 0).then_some(()));
    assert!(none.is_some(), "its Deployment has {} replicas", replicas(&space, &child));
    let gone = eventually(PATIENCE, || space.list("Pod", "byway.dev/preview=pr-1").is_empty().then_some(()));
    assert!(gone.is_some(), "its pods stay");
}

#[test]
fn controllers_that_are_killed_leave_nobody_waiting() {
    let stage = Stage::new(1);
    let (_proxy, mut a) = stage.watched("a");
    let space = stage.space("killed");
    space.deployment("app", 1);
    space.preview("pr-1", json!({ "idle": { "sleepAfter": "30m", "startAsleep": true } }));
    let asleep = space.wait("pr-1", "asleep", |it| phase(it) == "Asleep");
    let child = asleep["status"]["deployment"].as_str().unwrap().to_owned();
    let slept = eventually(PATIENCE, || (replicas(&space, &child) == 0).then_some(()));
    assert!(slept.is_some());

    // A request comes while there is none.
    a.sigkill();
    used(&stage, &space, &stage.sim.nodes()[0], 1, SignedDuration::ZERO);
    let (_proxy, mut b) = stage.watched("b");
    let begun = eventually(PATIENCE, || (replicas(&space, &child) == 1).then_some(()));
    assert!(begun.is_some(), "nobody wakes it:\n{}", b.log());
    // And the one that has begun to wake it does not live to see it.
    b.sigkill();
    let (_proxy, c) = stage.watched("c");
    let routed = eventually(PATIENCE, || {
        let backends = space.routes("pr-1").remove(0).entry["backends"].as_array().map_or(0, Vec::len);
        (backends == 1).then_some(())
    });
    assert!(routed.is_some(), "nobody is routed to:\n{}", c.log());
    space.wait("pr-1", "awake", |it| phase(it) == "Ready");
}
