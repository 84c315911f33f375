use serde_json::{Value, json};

use super::*;

fn agents(status: &Value) -> DaemonSet {
    let object = json!({ "metadata": { "generation": 2 }, "status": status });
    serde_json::from_value(object).unwrap()
}

fn status(wanted: i32, ready: i32, updated: i32) -> Value {
    json!({
        "observedGeneration": 2, "desiredNumberScheduled": wanted, "currentNumberScheduled": wanted,
        "numberReady": ready, "updatedNumberScheduled": updated, "numberMisscheduled": 0,
    })
}

fn pod(node: &str, ready: &str, waiting: Option<&str>) -> Pod {
    let state = waiting.map_or(json!({}), |reason| json!({ "waiting": { "reason": reason } }));
    let container = json!({ "name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0, "state": state });
    let condition = json!({ "type": "Ready", "status": ready, "message": "containers with unready status" });
    serde_json::from_value(json!({
        "metadata": { "name": format!("agent-{node}") }, "spec": { "nodeName": node, "containers": [] },
        "status": { "conditions": [condition], "containerStatuses": [container] },
    }))
    .unwrap()
}

#[test]
fn an_agent_that_is_not_ready_is_named_with_its_node() {
    let pods =
        [pod("one", "True", None), pod("two", "False", Some("ErrImagePull")), pod("three", "False", None)];
    assert_eq!(
        of_agents(&agents(&status(3, 1, 3)), &pods),
        [
            "1 of 3 agents are ready",
            "two: agent-two: ErrImagePull",
            "three: agent-three: containers with unready status"
        ]
    );
    assert_eq!(of_agents(&agents(&status(3, 3, 3)), &pods), Vec::<String>::new());
}

#[test]
fn agents_on_no_node_and_of_another_version_are_no_success() {
    assert!(of_agents(&agents(&status(0, 0, 0)), &[])[0].contains("no node"));
    assert!(of_agents(&agents(&status(2, 2, 1)), &[])[0].contains("update is under way"));
    let mut unseen = status(2, 2, 2);
    unseen["observedGeneration"] = 1.into();
    assert!(of_agents(&agents(&unseen), &[])[0].contains("just being changed"));
}

#[test]
fn a_controller_leads_while_its_lease_lasts() {
    let renewed: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let lease = |holder: &str| -> Lease {
        let spec = json!({ "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z" });
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    };
    assert_eq!(of_lease(&lease("a"), renewed + SignedDuration::from_secs(14)), None);
    assert!(of_lease(&lease("a"), renewed + SignedDuration::from_secs(16)).is_some());
    assert!(of_lease(&lease(""), renewed).is_some());
}

#[test]
fn fewer_controllers_than_wanted_are_no_success() {
    let controller = |wanted: i32, available: i32| -> Deployment {
        let spec = json!({ "replicas": wanted, "selector": {}, "template": {} });
        serde_json::from_value(json!({ "spec": spec, "status": { "availableReplicas": available } })).unwrap()
    };
    assert_eq!(of_controller(&controller(2, 2)), None);
    assert!(of_controller(&controller(2, 1)).unwrap().contains("1 of 2"));
    assert!(of_controller(&controller(0, 0)).is_some());
}
