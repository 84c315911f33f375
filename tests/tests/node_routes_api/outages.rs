//! The API server is away, and comes back: what is steered goes on.

use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{Plan, Stage, eventually, needs_root};
use serde_json::json;

use crate::support::{Api, SOON};

#[test]
fn steering_goes_on_without_the_api_server_and_catches_up() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let Ok(server) = api.cluster.api_server() else { return };
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    api.wait_ack(api.publish(&api.spec("agent-1", "r1")).unwrap()).unwrap();
    let load = Plan::to(api.stage.addresses()).keyed(Stage::KEY).clients(2).start(&api.stage.client);
    server.freeze().unwrap();
    sleep(Duration::from_secs(2));
    assert!(api.is_steered(Stage::KEY), "{}", agent.log());
    server.kill();
    sleep(Duration::from_secs(3));
    assert!(api.is_steered(Stage::KEY), "{}", agent.log());
    assert_eq!(agent.get("/readyz").unwrap().status, 200, "steering is what counts");
    assert!(agent.metric("byway_agent_watch_restarts_total", "").unwrap() >= 1.0);
    server.restart().unwrap();
    let begun = Instant::now();
    let generation = api.publish(&api.spec("agent-1", "r2")).unwrap();
    let caught_up = eventually(Duration::from_secs(60), || {
        (api.object().ok()?["status"]["observedGeneration"] == generation).then_some(())
    });
    assert!(caught_up.is_some(), "{}", agent.log());
    eprintln!("caught up {:?} after the server was ready", begun.elapsed());
    let load = load.stop();
    assert_eq!(load.failed(), 0, "{load:?}");
    assert!(agent.metric("byway_agent_api_contact_age_seconds", "").unwrap() < 5.0);
}

#[test]
fn an_agent_that_is_started_anew_steers_before_the_api_answers() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let Ok(server) = api.cluster.api_server() else { return };
    let mut agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    let mut spec = api.spec("agent-1", "r1");
    let mut ends = api.preview("demo/ends", "e1", "pr-2");
    ends["expiresAt"] = json!((jiff::Timestamp::now() + Duration::from_secs(5)).to_string());
    spec["previews"].as_array_mut().unwrap().push(ends);
    spec["targets"][0]["previews"] = json!(["demo/redesign", "demo/ends"]);
    api.wait_ack(api.publish(&spec).unwrap()).unwrap();
    assert!(api.is_steered("pr-2"), "{}", agent.log());
    let file = api.state.path().join("routes.json");
    assert!(eventually(SOON, || file.exists().then_some(())).is_some());
    server.kill();
    // It ends on time, though nobody says so.
    api.wait_answers("pr-2", "STABLE").unwrap();
    agent.sigkill();
    api.wait_answers(Stage::KEY, "STABLE").unwrap();
    let begun = Instant::now();
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    eprintln!("steers again after {:?}", begun.elapsed());
    assert!(api.is_steered(Stage::KEY), "{}", agent.log());
    assert_eq!(api.answers(Some("pr-2")).unwrap(), "STABLE", "what has ended stays so");
    // The API answers at last: what it says counts, and is acknowledged by this run.
    server.restart().unwrap();
    let generation = api.publish(&api.spec("agent-1", "r2")).unwrap();
    let caught_up = eventually(Duration::from_secs(60), || {
        (api.object().ok()?["status"]["observedGeneration"] == generation).then_some(())
    });
    assert!(caught_up.is_some(), "{}", agent.log());
    drop(agent);

    // Damage is no reason not to start.
    std::fs::write(&file, "{").unwrap();
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    api.wait_answers(Stage::KEY, "PREVIEW").unwrap();
    assert!(agent.log().contains("is passed over"), "{}", agent.log());
}

#[test]
fn an_object_that_is_deleted_detaches_and_a_new_one_attaches() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    for _ in 0..2 {
        api.wait_ack(api.publish(&api.spec("agent-1", "r1")).unwrap()).unwrap();
        assert!(api.is_steered(Stage::KEY), "{}", agent.log());
        api.delete().unwrap();
        api.wait_answers(Stage::KEY, "STABLE").unwrap();
        assert_eq!(agent.metric("byway_agent_targets", "").unwrap(), 0.0);
        let file = api.state.path().join("routes.json");
        assert!(eventually(SOON, || (!file.exists()).then_some(())).is_some());
    }
}

#[test]
fn an_agent_that_cannot_steer_stays_and_says_why() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let generation = api.publish(&api.spec("agent-1", "r1")).unwrap();
    // Without the right to load programs.
    let agent =
        api.agent("agent-1").without_capability("sys_admin").spawn_with_api(api.kubeconfig()).unwrap();
    let status = api.wait_ack(generation).unwrap();
    assert_eq!(status["failure"]["reason"], "NotPermitted", "{status:#}");
    assert_eq!(status["previews"], json!([]));
    let ready = agent.get("/readyz").unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("CAP_SYS_ADMIN"), "{}", ready.text());
    assert_eq!(agent.get("/healthz").unwrap().status, 200);
    // A new generation is answered, too.
    let generation = api.publish(&api.spec("agent-1", "r2")).unwrap();
    api.wait_ack(generation).unwrap();
    assert_eq!(api.answers(Some(Stage::KEY)).unwrap(), "STABLE");
}
