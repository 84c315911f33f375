//! Pods found by their UID, and what becomes of them.

use byway_tests::{App, Http, agent_listens, eventually, needs_root};
use serde_json::json;

use crate::support::{Api, SOON};

#[test]
fn a_pod_that_goes_is_let_go_and_one_that_comes_is_found() {
    if needs_root() {
        return;
    }
    let mut api = Api::new().unwrap();
    let other = api.stage.net.pod("other").unwrap();
    let _app = App::start(&other, "OTHER", "[::]:8080").unwrap();
    let uid = api.pod(&other).unwrap();
    let mut spec = api.spec("agent-1", "r1");
    let target = json!({
        "name": "demo/other", "podUid": uid, "ips": other.ips(), "ports": [8080], "previews": ["demo/redesign"],
    });
    spec["targets"].as_array_mut().unwrap().push(target);
    let generation = api.publish(&spec).unwrap();
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    api.wait_ack(generation).unwrap();
    let mut kept = Http::new(api.stage.client.connect((other.ipv4, 8080)).unwrap());
    let keyed = [("x-byway-key", "pr-1")];
    assert!(kept.get("/", &keyed).unwrap().text().starts_with("PREVIEW"));
    // The last process of the pod ends: everything of it is closed, though the controller has not said so yet.
    api.end_pod(&uid);
    assert!(eventually(SOON, || (!agent_listens(&other)).then_some(())).is_some(), "{}", agent.log());
    assert!(kept.get("/", &keyed).is_err());
    let gone = |status: &serde_json::Value| status["previews"][0]["failures"][0]["reason"] == "NoProcess";
    api.wait_status("said", gone).unwrap();
    assert!(api.is_steered("pr-1"), "{}", agent.log());
}
