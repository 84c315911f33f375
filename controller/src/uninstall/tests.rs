use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;

fn meta(value: Value) -> ObjectMeta {
    serde_json::from_value(value).unwrap()
}

#[test]
fn an_object_that_stays_says_why() {
    let preview = meta(json!({ "name": "a", "namespace": "demo" }));
    let why = |meta: &ObjectMeta, deleted| leftover("Preview", meta, deleted).to_string();
    assert_eq!(why(&preview, 1), "Preview demo/a: was there a moment ago");
    assert_eq!(why(&preview, 3), "Preview demo/a: deleted 3 times, and made again: by a GitOps tool?");
    let mut held = meta(json!({ "name": "a", "namespace": "demo", "finalizers": ["x.dev/hold"] }));
    held.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(why(&held, 1), "Preview demo/a: waits for its finalizers (x.dev/hold)");
    assert_eq!(
        leftover("NodeRoutes", &meta(json!({ "name": "node" })), 0).to_string(),
        "NodeRoutes node: was there a moment ago"
    );
}

#[test]
fn what_a_preview_does_not_own_is_not_waited_for() {
    let owned_by = |kind: &str, version: &str| {
        let owner = json!({ "kind": kind, "apiVersion": version, "name": "a", "uid": "1" });
        is_owned(&meta(json!({ "name": "a", "ownerReferences": [owner] })))
    };
    assert!(owned_by("Preview", "byway.dev/v1alpha1"));
    assert!(!owned_by("Preview", "other.dev/v1"));
    assert!(!owned_by("Deployment", "apps/v1"));
    assert!(!is_owned(&meta(json!({ "name": "a", "labels": { "byway.dev/preview": "a" } }))));
}

#[test]
fn a_long_list_is_cut() {
    let left: Vec<_> =
        (0..12).map(|n| leftover("Preview", &meta(json!({ "name": format!("p{n}") })), 0)).collect();
    let text = UninstallError::Left(left).to_string();
    assert!(text.contains("Preview p9") && !text.contains("Preview p10"), "{text}");
    assert!(text.contains("and 2 more") && text.contains("--no-hooks"), "{text}");
}
