//! `byway.dev/armed`: pods that are steered ahead of any preview.

use byway_tests::{eventually, table_of};
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Space, shared, workload};

/// The targets of this namespace in all NodeRoutes.
fn targets(space: &Space<'_>) -> Vec<Value> {
    let prefix = format!("{}/", space.name);
    let all = space.kube().list("NodeRoutes", "", "").unwrap();
    let targets =
        all.iter().filter_map(table_of).filter_map(|it| it["targets"].as_array().cloned()).flatten();
    let ours = |it: &Value| it["name"].as_str().is_some_and(|name| name.starts_with(&prefix));
    targets.filter(ours).collect()
}

/// Waits until so many pods are armed, with these ports, and nothing else is steered.
fn wait_armed(space: &Space<'_>, pods: usize, ports: &Value) {
    let mut last = Vec::new();
    let armed = eventually(PATIENCE, || {
        last = targets(space);
        let all = last.iter().all(|it| it["armed"] == true && it["ports"] == *ports);
        (last.len() == pods && all).then_some(())
    });
    assert!(armed.is_some(), "{pods} should be armed with {ports}: {last:#?}");
}

fn annotate(space: &Space<'_>, kind: &str, name: &str, value: &Value) {
    space.merge(kind, name, json!({ "metadata": { "annotations": { "byway.dev/armed": value } } }));
}

#[test]
fn pods_of_an_armed_workload_are_steered_and_no_others() {
    let space = shared().space("armed");
    space.deployment("app", 2);
    space.apply(workload("StatefulSet", "db", 1));
    space.deployment("bystander", 1);
    space.wait_pods("app=app", 2);
    annotate(&space, "Deployment", "app", &json!("true"));
    wait_armed(&space, 2, &json!([8080]));
    assert!(targets(&space).iter().all(|it| it["previews"] == json!([])));
    // By its pods' template.
    let template = json!({ "metadata": { "annotations": { "byway.dev/armed": "true" } } });
    space.merge("StatefulSet", "db", json!({ "spec": { "template": template } }));
    wait_armed(&space, 3, &json!([8080]));
    // A Service sends to another port.
    space.apply(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "app" },
        "spec": { "selector": { "app": "app" }, "ports": [{ "port": 80, "targetPort": 9000 }] },
    }));
    let both = || targets(&space).iter().any(|it| it["ports"] == json!([8080, 9000])).then_some(());
    assert!(eventually(PATIENCE, both).is_some());
    space.delete("Service", "app");
    wait_armed(&space, 3, &json!([8080]));

    // A preview comes and goes: it stays armed.
    space.preview("pr-1", json!({}));
    space.wait_ready("pr-1");
    assert_eq!(targets(&space).iter().filter(|it| it["previews"] != json!([])).count(), 2);
    wait_armed(&space, 3, &json!([8080]));
    space.delete("Preview", "pr-1");
    space.wait_no_routes("pr-1");
    wait_armed(&space, 3, &json!([8080]));
    annotate(&space, "Deployment", "app", &json!("false"));
    wait_armed(&space, 1, &json!([8080]));
    space.delete("StatefulSet", "db");
    wait_armed(&space, 0, &json!([8080]));
}

#[test]
fn a_namespace_arms_all_of_its_workloads_with_ports() {
    let space = shared().space("armed-all");
    space.deployment("app", 1);
    let mut silent = workload("Deployment", "silent", 1);
    silent["spec"]["template"]["spec"]["containers"][0]["ports"] = json!([]);
    space.apply(silent);
    space.apply(workload("StatefulSet", "db", 1));
    let annotate = |value: Value| {
        let patch = json!({ "metadata": { "annotations": { "byway.dev/armed": value } } });
        space.kube().merge("Namespace", "", &space.name, &patch).unwrap();
    };
    annotate(json!("true"));
    wait_armed(&space, 2, &json!([8080]));
    space.deployment("later", 1);
    wait_armed(&space, 3, &json!([8080]));
    annotate(Value::Null);
    wait_armed(&space, 0, &json!([8080]));
}

#[test]
fn nothing_is_armed_where_there_may_be_no_previews() {
    let space = shared().labelled_space("armed-nowhere", &json!({ "without-previews": "yes" }));
    let change = |metadata: Value| {
        space.kube().merge("Namespace", "", &space.name, &json!({ "metadata": metadata })).unwrap();
    };
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);
    annotate(&space, "Deployment", "app", &json!("true"));
    change(json!({ "annotations": { "byway.dev/armed": "true" } }));
    // Elsewhere, what was asked for later is done.
    let open = shared().space("armed-elsewhere");
    open.deployment("app", 1);
    annotate(&open, "Deployment", "app", &json!("true"));
    wait_armed(&open, 1, &json!([8080]));
    assert_eq!(targets(&space), Vec::<Value>::new());
    change(json!({ "labels": { "without-previews": null } }));
    wait_armed(&space, 1, &json!([8080]));
}
