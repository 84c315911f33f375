//! What becomes of a Preview from its creation to its end.

use std::thread::sleep;
use std::time::Duration;

use byway_api::{NodeTable, names};
use byway_tests::{eventually, table_of};
use serde_json::{Value, json};

use crate::stage::{PATIENCE, condition, is_true, phase, shared};

const REVISION: &str = names::REVISION_LABEL;

#[test]
fn a_preview_is_cloned_routed_gated_and_ready() {
    let space = shared().space("ready");
    space.deployment("app", 2);
    space.wait_pods("app=app", 2);
    // A key of its own: all Previews with one key are one environment, in whichever namespace.
    space.preview("pr-1", json!({ "key": "only-here", "ttl": "90m" }));
    let preview = space.wait_ready("pr-1");

    let (meta, status) = (&preview["metadata"], &preview["status"]);
    let child = names::child_name("pr-1", meta["uid"].as_str().unwrap());
    assert_eq!(status["key"], "only-here");
    assert_eq!(status["deployment"], child);
    assert_eq!(status["ports"], json!([8080]));
    assert_eq!(status["routes"], json!({ "programmed": 2, "wanted": 2 }));
    assert!(status["expiresAt"].is_string() && status["timeLeft"].is_string(), "{status}");
    let said = |type_: &str, reason: &str, message: &str| {
        let condition = condition(&preview, type_);
        assert_eq!(condition["status"], "True", "{condition}");
        assert_eq!(condition["reason"], reason, "{condition}");
        assert_eq!(condition["message"], message, "{condition}");
        assert_eq!(condition["observedGeneration"], meta["generation"], "{condition}");
    };
    said("TargetResolved", "Cloned", "the target's pod template is cloned");
    said("PodsReady", "PodsReady", "1 of 1 pods are ready");
    said(
        "RoutesProgrammed",
        "Programmed",
        "every ready pod of the target steers keyed requests to the preview",
    );
    said("Ready", "Ready", "requests with the key reach the preview");

    let deployment = space.get("Deployment", &child).unwrap();
    assert_eq!(deployment["metadata"]["ownerReferences"][0]["uid"], meta["uid"]);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "app:preview");
    let env = container["env"].as_array().unwrap();
    assert!(env.contains(&json!({ "name": "BYWAY_KEY", "value": "only-here" })), "{env:?}");
    assert!(env.contains(&json!({ "name": "BYWAY_PREVIEW", "value": "pr-1" })), "{env:?}");

    let pods = space.wait_pods("byway.dev/preview=pr-1", 1);
    let gate = condition(&pods[0], names::READINESS_GATE);
    assert_eq!((&gate["status"], &gate["reason"]), (&json!("True"), &json!("Programmed")));
    assert_eq!(status["pods"][0]["name"], pods[0]["metadata"]["name"]);
    assert_eq!(status["pods"][0]["node"], pods[0]["spec"]["nodeName"]);
    assert_eq!((&status["pods"][0]["ready"], &status["pods"][0]["routed"]), (&json!(true), &json!(true)));

    let routes = space.routes("pr-1");
    assert_eq!(routes.iter().map(|it| it.targets.len()).sum::<usize>(), 2, "each pod of the target");
    for routed in &routes {
        let owner = &routed.object["metadata"]["ownerReferences"][0];
        let node = space.kube().get("Node", "", owner["name"].as_str().unwrap()).unwrap().unwrap();
        assert_eq!((&owner["kind"], &owner["uid"]), (&json!("Node"), &node["metadata"]["uid"]));
        assert_eq!(routed.entry["key"], "only-here");
        assert_eq!(routed.entry["backends"][0]["ips"], ips(&pods[0]));
        assert_eq!(routed.entry["expiresAt"], status["expiresAt"]);
        assert_eq!(environment(&routed.object, "only-here"), addresses(&pods));
        assert_eq!(routed.targets[0]["ports"], json!([8080]));
        assert!(routed.targets[0].get("unkeyed").is_none());
    }
}

#[test]
fn an_update_replaces_pods_only_when_the_new_ones_are_routed_to() {
    let space = shared().space("update");
    space.deployment("app", 2);
    space.preview("pr-1", json!({}));
    space.wait_ready("pr-1");
    let old = space.wait_pods("byway.dev/preview=pr-1", 1).remove(0);

    space.preview("pr-1", json!({ "image": "app:newer", "env": [{ "name": "COLOUR", "value": "green" }] }));
    let preview = space.wait_ready("pr-1");
    let new = space.wait_pods("byway.dev/preview=pr-1", 1).remove(0);
    assert_ne!(new["metadata"]["labels"][REVISION], old["metadata"]["labels"][REVISION]);
    let container = &new["spec"]["containers"][0];
    assert_eq!(container["image"], "app:newer");
    assert!(container["env"].as_array().unwrap().contains(&json!({ "name": "COLOUR", "value": "green" })));
    assert_eq!(preview["metadata"]["generation"], 2);
    let only_the_new = || {
        let routes = space.routes("pr-1");
        let is = |backends: &Value| *backends == json!([{ "ips": ips(&new) }]);
        (!routes.is_empty() && routes.iter().all(|it| is(&it.entry["backends"]))).then_some(())
    };
    assert!(eventually(PATIENCE, only_the_new).is_some(), "nothing routes to the old pod any more");
    space.wait_gone("Pod", old["metadata"]["name"].as_str().unwrap());
}

#[test]
fn a_key_is_generated_once() {
    let space = shared().space("generated");
    space.deployment("app", 1);
    let uid = space.preview("my-change", json!({ "key": null }))["metadata"]["uid"].clone();
    let preview = space.wait_ready("my-change");
    let key = names::generated_key("my-change", uid.as_str().unwrap()).to_string();
    assert!(key.starts_with("my-change-"), "{key}");
    assert_eq!(preview["status"]["key"], key);
    assert_eq!(space.routes("my-change")[0].entry["key"], key);
    space.preview("my-change", json!({ "key": null, "image": "app:newer" }));
    assert_eq!(space.wait_ready("my-change")["status"]["key"], key, "it stays");
}

#[test]
fn a_target_may_come_change_and_go() {
    let space = shared().space("target");
    space.preview("pr-1", json!({}));
    let message = space.wait_not_ready("pr-1", "TargetResolved", "TargetNotFound");
    assert_eq!(message, format!("there is no Deployment app in namespace {}", space.name));
    let preview = space.get("Preview", "pr-1").unwrap();
    assert_eq!(phase(&preview), "Pending");
    assert_eq!(condition(&preview, "PodsReady")["status"], "Unknown");
    assert_eq!(
        condition(&preview, "PodsReady")["message"],
        "its pods are not looked after before the target can be cloned"
    );
    assert!(space.list("Deployment", "").is_empty());

    space.deployment("app", 1);
    let preview = space.wait_ready("pr-1");
    let child = preview["status"]["deployment"].as_str().unwrap().to_owned();

    // Its template is followed.
    let env = json!([{ "name": "app", "env": [{ "name": "LEVEL", "value": "7" }] }]);
    let mut app = crate::stage::workload("Deployment", "app", 1);
    app["spec"]["template"]["spec"]["containers"][0]["env"] = env[0]["env"].clone();
    space.apply(app);
    let followed = || {
        let deployment = space.get("Deployment", &child)?;
        let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array()?.clone();
        env.contains(&json!({ "name": "LEVEL", "value": "7" })).then_some(())
    };
    assert!(eventually(PATIENCE, followed).is_some());
    space.merge("Preview", "pr-1", json!({ "spec": { "unsetEnv": ["LEV*"] } }));
    assert!(eventually(PATIENCE, || followed().is_none().then_some(())).is_some());
    space.merge("Preview", "pr-1", json!({ "spec": { "unsetEnv": null } }));
    assert!(eventually(PATIENCE, followed).is_some());
    space.wait_ready("pr-1");

    // So is its size.
    space.merge("Deployment", "app", json!({ "spec": { "replicas": 3 } }));
    space.wait("pr-1", "on three pods", |it| {
        it["status"]["routes"] == json!({ "programmed": 3, "wanted": 3 })
    });
    space.merge("Deployment", "app", json!({ "spec": { "replicas": 0 } }));
    let message = space.wait_not_ready("pr-1", "RoutesProgrammed", "NoTargetPods");
    assert_eq!(
        message,
        "the target has no ready pod, so there is nothing to steer: scale it up, or see why its pods are not ready"
    );
    space.wait_no_routes("pr-1");
    space.merge("Deployment", "app", json!({ "spec": { "replicas": 1 } }));
    space.wait_ready("pr-1");

    // Without a target nothing is steered, and the clone waits for it to come back.
    space.delete("Deployment", "app");
    space.wait_not_ready("pr-1", "TargetResolved", "TargetNotFound");
    space.wait_no_routes("pr-1");
    assert!(space.get("Deployment", &child).is_some());
    space.deployment("app", 1);
    space.wait_ready("pr-1");
    assert_eq!(space.list("Deployment", "byway.dev/preview").len(), 1);
}

#[test]
fn a_deleted_preview_takes_its_clone_and_its_routes_along() {
    let space = shared().space("deleted");
    space.deployment("app", 2);
    space.preview("pr-1", json!({}));
    space.preview("pr-2", json!({}));
    let child = space.wait_ready("pr-1")["status"]["deployment"].as_str().unwrap().to_owned();
    space.wait_ready("pr-2");
    space.delete("Preview", "pr-1");
    space.wait_gone("Preview", "pr-1");
    space.wait_no_routes("pr-1");
    space.wait_gone("Deployment", &child);
    let no_pods = || space.list("Pod", "byway.dev/preview=pr-1").is_empty().then_some(());
    assert!(eventually(PATIENCE, no_pods).is_some());
    assert!(!space.routes("pr-2").is_empty(), "the other one stays");
    assert!(is_true(&space.get("Preview", "pr-2").unwrap(), "Ready"));

    // A new one of that name has a clone of its own, and none of the old one's pods.
    space.preview("pr-1", json!({}));
    let again = space.wait_ready("pr-1");
    assert_ne!(again["status"]["deployment"], child);
}

#[test]
fn previews_with_one_key_are_one_environment() {
    let space = shared().space("environment");
    for app in ["front", "back"] {
        space.deployment(app, 1);
        let target = json!({ "kind": "Deployment", "name": app });
        space.preview(&format!("{app}-pr"), json!({ "key": "environment-7", "target": target }));
    }
    let target = json!({ "kind": "Deployment", "name": "front" });
    space.preview("other", json!({ "key": "environment-77", "target": target }));
    for name in ["front-pr", "back-pr", "other"] {
        space.wait_ready(name);
    }
    let pods = |name: &str| space.wait_pods(&format!("byway.dev/preview={name}"), 1).remove(0);
    let both = addresses(&[pods("front-pr"), pods("back-pr")]);
    for name in ["front-pr", "back-pr"] {
        let object = &space.routes(name)[0].object;
        assert_eq!(environment(object, "environment-7"), both, "both sides know all pods of the environment");
    }
    let object = &space.routes("other")[0].object;
    assert_eq!(
        environment(object, "environment-77"),
        addresses(&[pods("other")]),
        "and none of another one's"
    );
}

#[test]
fn mode_off_runs_the_preview_and_steers_nothing() {
    let space = shared().space("off");
    space.deployment("app", 1);
    space.preview("pr-1", json!({ "incoming": { "mode": "off" } }));
    let message = space.wait_condition("pr-1", "RoutesProgrammed", "True", "Off");
    assert_eq!(message, "incoming.mode is off: no request is steered to the preview");
    space.wait_ready("pr-1");
    assert!(space.routes("pr-1").is_empty());
    space.preview("pr-1", json!({ "incoming": { "mode": "steal" } }));
    space.wait_condition("pr-1", "RoutesProgrammed", "True", "Programmed");
    assert!(!space.routes("pr-1").is_empty());
}

#[test]
fn a_clone_that_somebody_edits_is_put_back_whole() {
    let space = shared().space("edited");
    space.deployment("app", 1);
    space.preview("pr-1", json!({}));
    let child = space.wait_ready("pr-1")["status"]["deployment"].as_str().unwrap().to_owned();
    let original = space.get("Deployment", &child).unwrap();
    let container = original["spec"]["template"]["spec"]["containers"][0].clone();

    // A field of ours that is changed, and what was never ours.
    let mut other = container.clone();
    other["image"] = json!("app:by-hand");
    other["tty"] = json!(true);
    other["env"].as_array_mut().unwrap().push(json!({ "name": "BY_HAND", "value": "1" }));
    let sidecar = json!({ "name": "by-hand", "image": "app:stable" });
    let pods = json!({ "containers": [other, sidecar], "dnsPolicy": "Default", "readinessGates": null });
    let labels = json!({ "by-hand": "yes" });
    space.merge(
        "Deployment",
        &child,
        json!({ "spec": { "replicas": 3, "template": { "metadata": { "labels": labels }, "spec": pods } } }),
    );
    let put_back = || {
        let now = space.get("Deployment", &child)?;
        (now["spec"] == original["spec"]).then_some(())
    };
    let now = || space.get("Deployment", &child).unwrap()["spec"].to_string();
    assert!(eventually(PATIENCE, put_back).is_some(), "{}\nwas {}", now(), original["spec"]);
    space.wait_ready("pr-1");
}

#[test]
fn pods_of_a_deleted_target_are_steered_to_their_end() {
    let space = shared().space("farewell");
    space.deployment("app", 1);
    space.preview("pr-1", json!({}));
    space.wait_ready("pr-1");
    let pod = space.wait_pods("app=app", 1).remove(0);
    let name = pod["metadata"]["name"].as_str().unwrap();
    let hold = |by: Value| space.merge("Pod", name, json!({ "metadata": { "finalizers": by } }));
    hold(json!(["byway.dev/test"]));
    space.delete("Deployment", "app");
    space.wait_not_ready("pr-1", "TargetResolved", "TargetNotFound");
    let leaves = || space.get("Pod", name)?["metadata"]["deletionTimestamp"].is_string().then_some(());
    assert!(eventually(PATIENCE, leaves).is_some());
    // It goes on for as long as the pod is there.
    for _ in 0..20 {
        assert_eq!(space.routes("pr-1").len(), 1);
        sleep(Duration::from_millis(50));
    }
    hold(Value::Null);
    space.wait_no_routes("pr-1");
}

/// The addresses of a pod, as routes name them.
fn ips(pod: &Value) -> Value {
    let ips = pod["status"]["podIPs"].as_array().unwrap().iter();
    ips.map(|it| it["ip"].clone()).collect()
}

/// The addresses of a key's environment, in order.
fn environment(object: &Value, key: &str) -> Vec<String> {
    let table: NodeTable = serde_json::from_value(table_of(object).unwrap()).unwrap();
    let origins = table.origins().filter(|(_, of)| of.as_str() == key);
    in_order(origins.map(|(ip, _)| ip.to_string()))
}

/// The addresses of these pods, in order.
fn addresses(pods: &[Value]) -> Vec<String> {
    in_order(pods.iter().flat_map(|pod| {
        let ips = ips(pod).as_array().cloned().unwrap_or_default();
        ips.into_iter().map(|ip| ip.as_str().unwrap().to_owned())
    }))
}

fn in_order(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = all.collect();
    all.sort();
    all
}
