use serde_json::{Value, json};

use crate::clone::Children;
use crate::clone::targetless;
use crate::clone::testing::{alone, key, own_name, plain, pods, preview};

const APP: &str = "{containers: [{name: app, image: 'my-app:1', ports: [{containerPort: 80}], volumeMounts: [{name: data, mountPath: /data}, {name: conf, mountPath: /etc/app/config.yaml/}]}, {name: logs, image: logs}], volumes: [{name: data, emptyDir: {}}, {name: conf, configMap: {name: conf}}]}";

fn clone(files: &str) -> Children {
    alone(&format!("{{files: {files}}}"), &plain(APP)).unwrap()
}

fn map(children: &Children) -> Value {
    serde_json::to_value(children.files.as_ref().unwrap()).unwrap()
}

#[test]
fn what_stands_in_the_preview_comes_in_a_config_map_of_its_own() {
    let children = clone("[{path: /etc/app/config.yaml, text: 'a: 1'}, {path: '/opt/ä b', binary: aGk=}]");
    let map = map(&children);
    let name = map["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with(&format!("{}-", own_name())), "{name}");
    assert_eq!(map["immutable"], true);
    assert_eq!(map["data"], json!({ "0-config.yaml": "a: 1" }));
    assert_eq!(map["binaryData"], json!({ "1-b": "aGk=" }));
    assert_eq!(map["metadata"]["ownerReferences"][0]["kind"], "Preview");
    let annotations = children.deployment.metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations[byway_api::names::FILES_ANNOTATION], name);

    let spec = pods(&children).0;
    assert_eq!(spec["volumes"][2], json!({ "name": "byway-files-0", "configMap": { "name": name } }));
    let mounts = &spec["containers"][0]["volumeMounts"];
    assert_eq!(mounts[0]["mountPath"], "/data");
    let file = |path: &str, entry: &str| json!({ "name": "byway-files-0", "mountPath": path, "subPath": entry, "readOnly": true });
    assert_eq!(mounts[1], file("/etc/app/config.yaml", "0-config.yaml"), "in the place of the target's own");
    assert_eq!(mounts[2], file("/opt/ä b", "1-b"));
    assert_eq!(mounts.as_array().unwrap().len(), 3);
    assert_eq!(spec["containers"][1]["volumeMounts"], Value::Null, "a sidecar has none of them");
}

#[test]
fn other_files_are_another_config_map_and_new_pods() {
    let [one, same, other] =
        ["a: 1", "a: 1", "a: 2"].map(|text| clone(&format!("[{{path: /a, text: '{text}'}}]")));
    let name = |children: &Children| map(children)["metadata"]["name"].clone();
    assert_eq!((name(&one), &one.deployment), (name(&same), &same.deployment));
    assert_ne!(name(&one), name(&other));
    assert_ne!(one.deployment.spec.unwrap().template, other.deployment.spec.unwrap().template);
}

#[test]
fn entries_of_others_are_mounted_from_there() {
    let children = clone(
        "[{path: /a, secretKeyRef: {name: keys, key: a.pem}}, {path: /b, secretKeyRef: {name: keys, key: b.pem}}, {path: /c, configMapKeyRef: {name: keys, key: c}}]",
    );
    assert_eq!(children.files, None);
    assert!(
        !children
            .deployment
            .metadata
            .annotations
            .as_ref()
            .unwrap()
            .contains_key(byway_api::names::FILES_ANNOTATION)
    );
    let spec = pods(&children).0;
    assert_eq!(
        spec["volumes"].as_array().unwrap()[2..],
        [
            json!({ "name": "byway-files-0", "secret": { "secretName": "keys" } }),
            json!({ "name": "byway-files-1", "configMap": { "name": "keys" } }),
        ]
    );
    let mounts = spec["containers"][0]["volumeMounts"].as_array().unwrap()[2..].to_vec();
    let seen: Vec<_> =
        mounts.iter().map(|it| (it["name"].as_str().unwrap(), it["subPath"].as_str().unwrap())).collect();
    assert_eq!(seen, [("byway-files-0", "a.pem"), ("byway-files-0", "b.pem"), ("byway-files-1", "c")]);
}

#[test]
fn a_preview_without_a_target_has_files_too() {
    let spec =
        "{target: null, incoming: {ports: [80]}, files: [{path: /a, text: b}], labels: {set: {tier: web}}}";
    let children = targetless(&preview(spec), &key()).unwrap();
    assert!(children.files.is_some());
    let (spec, meta) = pods(&children);
    assert_eq!(spec["containers"][0]["volumeMounts"][0]["mountPath"], "/a");
    assert_eq!(meta["labels"]["tier"], "web");
}
