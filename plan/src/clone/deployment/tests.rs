use serde_json::{Value, json};

use crate::clone::testing::{alone, key, plain, preview};
use crate::clone::{Surroundings, of_target};

fn deployment(spec: &str) -> Value {
    serde_json::to_value(alone(spec, &plain("{}")).unwrap().deployment).unwrap()
}

#[test]
fn the_deployment_is_the_previews() {
    let object = deployment("{replicas: 3}");
    let name = byway_api::names::child_name("redesign", "5c1c7bbe-0000-4000-8000-000000000001");
    let applied = object["metadata"]["annotations"]["byway.dev/applied"].clone();
    assert_eq!(applied.as_str().unwrap().len(), 16);
    assert_eq!((&object["apiVersion"], &object["kind"]), (&json!("apps/v1"), &json!("Deployment")));
    assert_eq!(
        object["metadata"],
        json!({
            "name": name,
            "namespace": "staging",
            "labels": { "app.kubernetes.io/managed-by": "byway", "byway.dev/key": "key-1", "byway.dev/preview": "redesign" },
            "annotations": { "byway.dev/applied": applied },
            "ownerReferences": [{
                "apiVersion": "byway.dev/v1alpha1",
                "kind": "Preview",
                "name": "redesign",
                "uid": "5c1c7bbe-0000-4000-8000-000000000001",
                "controller": true,
            }],
        })
    );
    let mut spec = object["spec"].clone();
    assert_eq!(spec["template"]["spec"]["readinessGates"], json!([{ "conditionType": "byway.dev/routed" }]));
    spec.as_object_mut().unwrap().remove("template");
    assert_eq!(
        spec,
        json!({
            "replicas": 3,
            "revisionHistoryLimit": 1,
            "selector": { "matchLabels": { "byway.dev/preview": "redesign" } },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
        })
    );
    assert!(object.get("status").is_none());
    assert!(!object.to_string().contains("null"), "{object}");
}

#[test]
fn the_hash_is_of_everything_and_of_nothing_else() {
    let applied = |spec: &str| deployment(spec)["metadata"]["annotations"]["byway.dev/applied"].clone();
    assert_eq!(applied("{}"), applied("{}"));
    assert_eq!(applied("{}"), applied("{ttl: 5m, incoming: {onUnreachable: stable}}"));
    for other in
        ["{replicas: 2}", "{image: 'my-app:3'}", "{env: [{name: A, value: b}]}", "{incoming: {ports: [1]}}"]
    {
        assert_ne!(applied("{}"), applied(other), "{other}");
    }
}

#[test]
fn the_revision_is_of_the_pods_alone() {
    let revision =
        |spec: &str| deployment(spec)["spec"]["template"]["metadata"]["labels"]["byway.dev/revision"].clone();
    assert_eq!(revision("{}"), revision("{replicas: 2}"));
    assert_ne!(revision("{}"), revision("{image: 'my-app:3'}"));
}

#[test]
fn renewing_restarts_only_what_may_have_changed() {
    let renewed = |image: &str| {
        let object = deployment(&format!("{{image: '{image}', renewedAt: '2026-01-02T03:04:05Z'}}"));
        object["spec"]["template"]["metadata"]["annotations"]["byway.dev/renewed-at"].clone()
    };
    assert_eq!(renewed("my-app:feature"), "2026-01-02T03:04:05Z");
    assert_eq!(renewed("my-app@sha256:00"), Value::Null);
    let extended = |time: &str| deployment(&format!("{{image: 'a@sha256:00', renewedAt: '{time}'}}"));
    assert_eq!(extended("2026-01-02T03:04:05Z"), extended("2026-01-02T04:04:05Z"));
}

#[test]
fn a_key_of_another_preview_is_another_clone() {
    let other = of_target(&preview("{}"), &"key-2".parse().unwrap(), &plain("{}"), &Surroundings::default());
    let this = of_target(&preview("{}"), &key(), &plain("{}"), &Surroundings::default());
    assert_ne!(other.unwrap().deployment, this.unwrap().deployment);
}
