use serde_json::{Value, json};

use super::*;
use crate::args;

fn preview(name: &str, age: u32, spec: Value) -> Preview {
    let mut object = json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
        "metadata": {
            "name": name, "namespace": "demo", "uid": name, "creationTimestamp": format!("2030-01-01T00:{age:02}:00Z"),
        },
        "spec": { "image": "app:1", "target": { "kind": "Deployment", "name": "app" } },
    });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(object).unwrap()
}

fn now() -> Timestamp {
    "2030-01-01T01:30:00Z".parse().unwrap()
}

fn at(
    there: &[Preview],
    name: Option<&str>,
    key: Option<&str>,
    target: Option<&str>,
) -> Result<Place, Failure> {
    let target = target.map(|it| args::target(it).unwrap());
    let key = key.map(|it| it.parse().unwrap());
    place(Wanted { name, key, target, image: "app:2" }, there, now(), || "made".parse().unwrap())
}

#[test]
fn what_is_new_gets_a_name_of_target_and_key() {
    let new = at(&[], None, Some("pr-1"), Some("deployment/app")).unwrap();
    assert_eq!((new.name.as_str(), new.sends_key, new.before), ("app-pr-1", true, None));
    assert_eq!(at(&[], None, None, Some("deployment/app")).unwrap().name, "app-made");
    assert_eq!(at(&[], Some("mine"), None, None).unwrap().name, "mine");
    let other = preview("app-pr-1", 0, json!({ "key": "other" }));
    let beside = at(&[other], None, Some("pr-1"), Some("deployment/app")).unwrap();
    assert!(beside.name.starts_with("app-pr-1-"), "{}", beside.name);
}

#[test]
fn the_holder_of_key_and_target_is_changed() {
    let ended = json!({ "expiresAt": "2030-01-01T01:00:00Z", "phase": "Expired" });
    let mut old = preview("old", 0, json!({ "key": "pr-1" }));
    old.status = serde_json::from_value(ended).unwrap();
    let there = [
        old.clone(),
        preview("young", 9, json!({ "key": "pr-1" })),
        preview("elder", 5, json!({ "key": "pr-1" })),
    ];
    assert_eq!(at(&there, None, Some("pr-1"), Some("deploy/app")).unwrap().name, "elder");
    assert_eq!(
        at(&there[..1], None, Some("pr-1"), Some("deploy/app")).unwrap().before,
        Some(old),
        "it is revived"
    );
    assert_eq!(at(&there, None, Some("pr-1"), Some("sts/app")).unwrap().before, None);
    assert_eq!(at(&there, None, Some("pr-11"), Some("deploy/app")).unwrap().before, None);
    let failure = at(&there, Some("new"), Some("pr-1"), Some("deploy/app")).unwrap_err();
    assert_eq!(failure.reason, "Conflict");
}

#[test]
fn a_generated_key_is_found_and_not_sent() {
    let there = [preview("mine", 0, json!({}))];
    let key = words::key_of(&there[0]).unwrap();
    let found = at(&there, None, Some(key.as_str()), Some("deploy/app")).unwrap();
    assert_eq!((found.name.as_str(), found.sends_key), ("mine", false));
    assert_eq!(at(&there, Some("mine"), None, Some("deploy/app")).unwrap().key, key);
}

#[test]
fn what_cannot_change_is_refused_and_the_container_stays() {
    let target = json!({ "kind": "Deployment", "name": "app", "container": "web" });
    let there = [preview("mine", 0, json!({ "key": "pr-1", "target": target }))];
    let same = at(&there, Some("mine"), None, Some("deploy/app")).unwrap();
    assert_eq!(same.target.unwrap().container.as_deref(), Some("web"));
    for (key, target) in [
        (Some("pr-2"), Some("deploy/app")),
        (None, Some("deploy/b")),
        (None, None),
        (None, Some("deploy/app/container/b")),
    ] {
        assert_eq!(
            at(&there, Some("mine"), key, target).unwrap_err().reason,
            "Immutable",
            "{key:?} {target:?}"
        );
    }
}

#[test]
fn a_preview_without_a_target_is_found_by_its_name() {
    let there = [preview("app-pr-1", 0, json!({ "key": "pr-1", "target": null }))];
    assert!(at(&there, None, Some("pr-1"), None).unwrap().before.is_some());
}
