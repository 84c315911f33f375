//! What is acknowledged, by whom, and how often.

use std::time::Duration;

use byway_tests::{Stage, eventually, needs_root, status_of};
use serde_json::{Value, json};

use crate::support::{Api, SOON};

#[test]
fn a_route_is_acknowledged_with_who_and_what() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    assert_eq!(api.answers(Some(Stage::KEY)).unwrap(), "STABLE");
    let generation = api.publish(&api.spec("agent-1", "r1")).unwrap();
    let status = api.wait_ack(generation).unwrap();
    assert_eq!(status["instance"]["podUid"], "agent-1");
    assert_eq!(status["previews"], json!([{ "name": "demo/redesign", "revision": "r1" }]));
    assert!(api.is_steered(Stage::KEY), "{}", agent.log());
    assert_eq!(api.answers(None).unwrap(), "STABLE");

    // A target that cannot be, and a preview of tomorrow: said, and the rest goes on.
    let mut spec = api.spec("agent-1", "r2");
    let previews = spec["previews"].as_array_mut().unwrap();
    previews.push(json!({ "name": "demo/new", "revision": "n1", "key": "pr-9", "teleport": true }));
    let targets = spec["targets"].as_array_mut().unwrap();
    let names = ["demo/redesign", "demo/new"];
    targets.push(json!({ "name": "demo/gone", "podUid": "00000000-none", "ports": [80], "previews": names }));
    let path = json!({
        "name": "demo/path", "netns": api.stage.preview.netns(), "ports": [8080], "previews": ["demo/redesign"],
    });
    targets.push(path);
    let generation = api.publish(&spec).unwrap();
    let status = api.wait_ack(generation).unwrap();
    let redesign = &status["previews"][1];
    assert_eq!(redesign["revision"], "r2");
    let failures: Vec<_> = redesign["failures"].as_array().unwrap().iter().map(reason).collect();
    assert_eq!(failures, ["demo/gone NoProcess", "demo/path NetnsNotAllowed"]);
    let new = &status["previews"][0];
    assert_eq!((&new["refused"]["reason"], &new["refused"]["revision"]), (&json!("TooNew"), &json!("n1")));
    assert!(api.is_steered(Stage::KEY), "{}", agent.log());

    // What no longer holds is gone from the status.
    let generation = api.publish(&api.spec("agent-1", "r3")).unwrap();
    let status = api.wait_ack(generation).unwrap();
    assert_eq!(status["previews"], json!([{ "name": "demo/redesign", "revision": "r3" }]));
    assert!(agent.metric("byway_agent_acks_total", "").unwrap() >= 3.0);
}

fn reason(failure: &Value) -> String {
    format!("{} {}", failure["target"].as_str().unwrap(), failure["reason"].as_str().unwrap())
}

#[test]
fn nothing_is_written_when_nothing_has_changed() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    let generation = api.publish(&api.spec("agent-1", "r1")).unwrap();
    api.wait_ack(generation).unwrap();
    // That requests come is told at once, and how many within a minute.
    assert!(api.is_steered(Stage::KEY), "{}", agent.log());
    let told = || api.object().ok()?["status"]["requests"][0]["lastRequestTime"].as_str().map(str::to_owned);
    assert!(eventually(Duration::from_secs(5), told).is_some(), "{}", agent.log());
    let version = || api.object().unwrap()["metadata"]["resourceVersion"].clone();
    let before = version();
    for _ in 0..20 {
        assert!(api.is_steered(Stage::KEY), "{}", agent.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(version(), before);
    assert_eq!(agent.metric("byway_agent_acks_total", "").unwrap(), 2.0);
    // A label is no news, and no reason to write.
    api.cluster.ask(["label", "noderoutes", api.name(), "a=b"]).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(agent.metric("byway_agent_acks_total", "").unwrap(), 2.0);
    // Somebody else's words are.
    let lie = r#"{"status":{"previews":[],"observedGeneration":99}}"#;
    api.cluster
        .ask(["patch", "noderoutes", api.name(), "--subresource=status", "--type=merge", "-p", lie])
        .unwrap();
    api.wait_ack(generation).unwrap();
    assert_eq!(agent.metric("byway_agent_ack_errors_total", "").unwrap(), 0.0);
}

#[test]
fn only_the_agent_that_is_named_speaks() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    api.publish(&api.spec("agent-1", "r1")).unwrap();
    let first = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    let status = api.wait_status("no word", |status| status["instance"]["podUid"] == "agent-1").unwrap();
    // The successor steers before it is named.
    let second = api.agent("agent-2").start_with_api(api.kubeconfig()).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(status_of(api.object().unwrap()), status);
    assert_eq!(second.metric("byway_agent_acks_total", "").unwrap(), 0.0);
    let mine: Value = serde_json::from_str(&second.get("/status").unwrap().text()).unwrap();
    assert_eq!(mine["live"], "demo/redesign r1\n", "but whoever asks is told");
    api.publish(&api.spec("agent-2", "r1")).unwrap();
    api.wait_status("no word", |status| status["instance"]["podUid"] == "agent-2").unwrap();
    let acks = first.metric("byway_agent_acks_total", "").unwrap();
    first.sigterm().unwrap();
    assert!(api.is_steered(Stage::KEY), "{}", second.log());
    assert_eq!(acks, 1.0);
}

#[test]
fn a_change_to_one_preview_leaves_the_others_connections_alone() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let _agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    let spec = |revision: &str| {
        json!({
            "agentPodUid": "agent-1",
            "previews": [api.preview("demo/a", "a1", "pr-a"), api.preview("demo/b", revision, "pr-b")],
            "targets": [api.target(&["demo/a", "demo/b"])],
        })
    };
    api.wait_ack(api.publish(&spec("b1")).unwrap()).unwrap();
    let mut kept = api.connect().unwrap();
    let peer = kept.get("/", &[("x-byway-key", "pr-a")]).unwrap().text();
    assert!(peer.starts_with("PREVIEW"));
    for revision in ["b2", "b3", "b4"] {
        let status = api.wait_ack(api.publish(&spec(revision)).unwrap()).unwrap();
        assert_eq!(status["previews"][0]["revision"], "a1");
        assert_eq!(status["previews"][1]["revision"], revision);
        // The same connection, and the agent's same connection to the preview.
        assert_eq!(kept.get("/", &[("x-byway-key", "pr-a")]).unwrap().text(), peer);
    }
}

#[test]
fn an_object_that_cannot_be_read_changes_nothing_and_is_said() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    api.wait_ack(api.publish(&api.spec("agent-1", "r1")).unwrap()).unwrap();
    let mut twice = api.spec("agent-1", "r2");
    twice["targets"] = json!([api.target(&["demo/redesign"]), api.target(&["demo/redesign"])]);
    let generation = api.publish(&twice).unwrap();
    let status = api.wait_ack(generation).unwrap();
    assert_eq!(status["failure"]["reason"], "BadDocument", "{status:#}");
    assert_eq!(status["previews"][0]["revision"], "r1", "the last good one stays");
    assert!(api.is_steered(Stage::KEY), "{}", agent.log());
    assert_eq!(agent.metric("byway_agent_bad_documents_total", "").unwrap(), 1.0);
    let status = api.wait_ack(api.publish(&api.spec("agent-1", "r3")).unwrap()).unwrap();
    assert_eq!((&status["failure"], &status["previews"][0]["revision"]), (&Value::Null, &json!("r3")));
}

#[test]
fn ports_without_a_listener_and_tls_are_told() {
    if needs_root() {
        return;
    }
    let api = Api::new().unwrap();
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    let mut spec = api.spec("agent-1", "r1");
    spec["targets"][0]["ports"] = json!([8080, 9090]);
    let status = api.wait_ack(api.publish(&spec).unwrap()).unwrap();
    let mut targets = status["targets"].clone();
    // How connections go is the agent's mode.
    targets[0].as_object_mut().unwrap().remove("ways");
    assert_eq!(targets, json!([{ "target": "demo/app", "notListening": [9090] }]));
    let late = byway_tests::App::start(&api.stage.app, "LATE", "0.0.0.0:9090").unwrap();
    api.wait_status("the port listens", |status| status["targets"][0]["notListening"].is_null()).unwrap();
    drop(late);
    api.wait_status("the port has gone", |status| status["targets"][0]["notListening"] == json!([9090]))
        .unwrap();

    // A TLS ClientHello; more of them are not worth a write.
    let hello = [0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0];
    let send = || {
        let stream = api.stage.client.connect((api.stage.app.ipv4, Stage::PORT)).unwrap();
        let mut raw = byway_tests::Raw::new(stream).unwrap();
        raw.send(hello).unwrap();
        raw.finish().unwrap();
        raw.receive(SOON);
    };
    send();
    api.wait_status("TLS is told", |status| status["targets"][0]["tls"] == 1).unwrap();
    let acks = agent.metric("byway_agent_acks_total", "").unwrap();
    (0..5).for_each(|_| send());
    std::thread::sleep(Duration::from_secs(2));
    assert!(agent.metric("byway_agent_acks_total", "").unwrap() <= acks + 1.0, "{}", agent.log());
}
