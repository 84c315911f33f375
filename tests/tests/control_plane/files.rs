//! Files that stand in a Preview: where they are kept, and that nothing is left of them.

use byway_tests::eventually;
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Space, phase, shared};

/// The ConfigMaps of a Preview, once there are so many.
fn maps(space: &Space<'_>, preview: &str, count: usize) -> Vec<Value> {
    let mut last = Vec::new();
    let found = eventually(PATIENCE, || {
        last = space.list("ConfigMap", &format!("byway.dev/preview={preview}"));
        (last.len() == count).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("not {count}: {last:#?}"))
}

fn volumes(pod: &Value) -> String {
    pod["spec"]["volumes"].to_string()
}

#[test]
fn files_come_change_and_go_with_their_preview() {
    let space = shared().space("files");
    space.deployment("app", 1);
    let text = |text: &str| json!({ "files": [{ "path": "/etc/app/a.yaml", "text": text }, { "path": "/b", "binary": "aGk=" }] });
    space.preview("pr-1", text("one"));
    space.wait_ready("pr-1");
    let first = maps(&space, "pr-1", 1).remove(0);
    assert_eq!(
        (&first["data"], &first["binaryData"]),
        (&json!({ "0-a.yaml": "one" }), &json!({ "1-b": "aGk=" }))
    );
    assert_eq!(first["metadata"]["ownerReferences"][0]["kind"], "Preview");
    let name = |map: &Value| map["metadata"]["name"].as_str().unwrap().to_owned();
    let pod = space.wait_pods("byway.dev/preview=pr-1", 1).remove(0);
    assert!(volumes(&pod).contains(&name(&first)), "{pod:#}");

    space.preview("pr-1", text("two"));
    let second = eventually(PATIENCE, || {
        let all = space.list("ConfigMap", "byway.dev/preview=pr-1");
        all.into_iter().find(|it| it["data"]["0-a.yaml"] == "two")
    });
    let second = second.expect("the files change");
    space.wait_gone("ConfigMap", &name(&first));
    let on_new = |pods: &[Value]| pods.len() == 1 && volumes(&pods[0]).contains(&name(&second));
    let rolled = eventually(PATIENCE, || on_new(&space.list("Pod", "byway.dev/preview=pr-1")).then_some(()));
    assert!(rolled.is_some(), "pods are made anew");

    // A ConfigMap is not put back while it is as it should be, and what is none of ours stays.
    let version = second["metadata"]["resourceVersion"].clone();
    space.preview("pr-1", json!({ "files": text("two")["files"], "replicas": 2 }));
    space.wait_pods("byway.dev/preview=pr-1", 2);
    assert_eq!(space.get("ConfigMap", &name(&second)).unwrap()["metadata"]["resourceVersion"], version);
    space.preview("pr-1", json!({ "replicas": 2 }));
    space.wait_gone("ConfigMap", &name(&second));

    space.preview("pr-1", text("three"));
    maps(&space, "pr-1", 1);
    let ended = json!({ "spec": { "ttl": "60s", "renewedAt": "2020-01-01T00:00:00Z" } });
    space.merge("Preview", "pr-1", ended);
    space.wait("pr-1", "expired", |it| phase(it) == "Expired");
    maps(&space, "pr-1", 0);
}

#[test]
fn what_cannot_be_is_said() {
    let space = shared().space("files-wrong");
    space.deployment("app", 1);
    let long = "b".repeat(256 << 10);
    space.preview(
        "large",
        json!({ "files": [
        { "path": "/a", "text": long }, { "path": "/b", "text": long }, { "path": "/c", "text": "x" },
    ] }),
    );
    let said = space.wait_not_ready("large", "TargetResolved", "FilesTooLarge");
    assert!(said.starts_with("files: text and binary have 524289 bytes together, at most 524288"), "{said}");
    let below = json!({ "files": [{ "path": "/a/b", "text": "" }, { "path": "/a", "text": "" }] });
    space.preview("below", below);
    let said = space.wait_not_ready("below", "TargetResolved", "FileBelowFile");
    assert!(said.contains("/a is a file, and so there can be no /a/b"), "{said}");
    space.preview("mapping", json!({ "envMapping": [{ "names": "a(", "value": "" }] }));
    let said = space.wait_not_ready("mapping", "TargetResolved", "BadEnvMapping");
    assert!(said.contains("unclosed group"), "{said}");
    space.preview("labels", json!({ "labels": { "set": { "byway.dev/key": "other" } } }));
    let said = space.wait_not_ready("labels", "TargetResolved", "BadLabel");
    assert!(said.contains("set by Byway: leave it out"), "{said}");
}

/// As Argo CD and Flux apply: under another name, again and again, and not moved by what others write.
#[test]
fn who_applies_again_and_again_finds_nothing_to_do() {
    let space = shared().space("gitops");
    space.deployment("app", 1);
    let spec = json!({
        "files": [{ "path": "/etc/a", "text": "one" }],
        "idle": { "sleepAfter": "2m" },
        "labels": { "set": { "tier": "web" } },
        "incoming": { "portMapping": [{ "port": 8080, "previewPort": 9090 }] },
        "envMapping": [{ "names": "A", "value": "b" }],
    });
    let first = space.preview("pr-1", spec.clone());
    space.wait_ready("pr-1");
    let before = space.get("Preview", "pr-1").unwrap();
    assert_eq!(before["spec"], first["spec"], "nothing of ours is in the spec");
    let owners = |object: &Value| {
        let all = object["metadata"]["managedFields"].as_array().unwrap().iter();
        let of_spec = all.filter(|it| it["fieldsV1"]["f:spec"].is_object());
        of_spec.map(|it| it["manager"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(owners(&before).len(), 1, "{before:#}");
    let again = space.preview("pr-1", spec);
    assert_eq!(again["metadata"]["generation"], before["metadata"]["generation"]);
    assert_eq!(again["spec"], before["spec"]);
}
