use serde_json::{Value, json};

use super::is_mutable;
use crate::clone::testing::{alone, plain, pods};

/// The first container of the clone of a plain target, with `more` in its container, for this Preview.
fn container(more: &str, spec: &str) -> Value {
    let target = plain(&format!(
        "{{containers: [{{name: app, image: 'my-app:1', ports: [{{containerPort: 80}}], {more}}}]}}"
    ));
    pods(&alone(spec, &target).unwrap()).0["containers"][0].clone()
}

#[test]
fn only_a_digest_is_immutable() {
    for image in ["app", "app:latest", "app:v1.2.3", "localhost:5000/app", "app@", "app@sha256"] {
        assert!(is_mutable(image), "{image}");
    }
    for image in ["app@sha256:0123", "localhost:5000/app:1@sha512:0123"] {
        assert!(!is_mutable(image), "{image}");
    }
}

#[test]
fn a_mutable_tag_is_pulled_always() {
    let policy = |more: &str, image: &str| {
        container(more, &format!("{{image: '{image}'}}"))["imagePullPolicy"].clone()
    };
    assert_eq!(policy("imagePullPolicy: IfNotPresent", "app:2"), "Always");
    assert_eq!(policy("stdin: false", "app:2"), "Always");
    assert_eq!(policy("imagePullPolicy: Never", "app:2"), "Never");
    assert_eq!(policy("imagePullPolicy: IfNotPresent", "app@sha256:00"), "IfNotPresent");
    assert_eq!(policy("stdin: false", "app@sha256:00"), Value::Null);
}

#[test]
fn command_args_and_env_are_replaced() {
    let before = "command: [a], args: [b], env: [{name: A, value: '1'}, {name: BYWAY_KEY, value: x}, {name: B, value: $(A)}]";
    let app =
        container(before, "{env: [{name: A, value: '2'}, {name: C, value: $(BYWAY_PREVIEW)}], args: []}");
    assert_eq!(app["image"], "registry.example.com/my-app:feature");
    assert_eq!((app["command"].clone(), app["args"].clone()), (json!(["a"]), json!([])));
    assert_eq!(
        app["env"],
        json!([
            { "name": "BYWAY_KEY", "value": "key-1" },
            { "name": "BYWAY_PREVIEW", "value": "redesign" },
            { "name": "A", "value": "2" },
            { "name": "B", "value": "$(A)" },
            { "name": "C", "value": "$(BYWAY_PREVIEW)" },
        ])
    );
    assert_eq!(container(before, "{command: [c, d]}")["command"], json!(["c", "d"]));
}

#[test]
fn every_ordinary_container_knows_whose_it_is() {
    let target = plain(
        "{initContainers: [{name: proxy, restartPolicy: Always}], containers: [{name: app, image: 'my-app:1', ports: [{containerPort: 80}]}, {name: logs, image: logs}]}",
    );
    let (spec, _) = pods(&alone("{image: 'my-app:2', command: [x]}", &target).unwrap());
    assert_eq!(spec["containers"][0]["image"], "my-app:2");
    assert_eq!(
        (&spec["containers"][1]["image"], &spec["containers"][1]["command"]),
        (&json!("logs"), &Value::Null)
    );
    assert_eq!(spec["containers"][1]["env"][0]["name"], "BYWAY_KEY");
    assert_eq!(spec["initContainers"][0], json!({ "name": "proxy", "restartPolicy": "Always" }));
}

#[test]
fn a_container_serves_on_for_a_while_when_it_ends() {
    let hook = |more: &str, spec: &str| container(more, spec)["lifecycle"].clone();
    assert_eq!(hook("stdin: false", "{}"), json!({ "preStop": { "sleep": { "seconds": 5 } } }));
    let own = "{preStop: {exec: {command: [sync]}}}";
    assert_eq!(
        hook(&format!("lifecycle: {own}"), "{}"),
        json!({ "preStop": { "exec": { "command": ["sync"] } } })
    );
    let other = hook("lifecycle: {stopSignal: SIGINT, postStart: {sleep: {seconds: 1}}}", "{}");
    assert_eq!(other["preStop"]["sleep"]["seconds"], 5);
    assert_eq!(
        (&other["stopSignal"], &other["postStart"]["sleep"]["seconds"]),
        (&json!("SIGINT"), &json!(1))
    );
    assert_eq!(hook("stdin: false", "{incoming: {mode: 'off'}}"), Value::Null);
    for (grace, expected) in
        [(60, json!(5)), (6, json!(3)), (2, json!(1)), (1, Value::Null), (0, Value::Null)]
    {
        let target = plain(&format!("{{terminationGracePeriodSeconds: {grace}}}"));
        let (spec, _) = pods(&alone("{}", &target).unwrap());
        assert_eq!(spec["terminationGracePeriodSeconds"], grace);
        assert_eq!(spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], expected, "{grace}");
    }
}
