use serde_json::json;

use super::targetless;
use crate::clone::testing::{key, pods, preview};

#[test]
fn it_is_one_container_and_a_service() {
    let children = targetless(
        &preview("{target: null, image: 'my-app@sha256:00', incoming: {ports: [9090, 8080]}, env: [{name: A, value: b}], command: [run]}"),
        &key(),
    )
    .unwrap();
    assert_eq!(children.ports, [8080, 9090]);
    let (spec, meta) = pods(&children);
    assert_eq!(meta, json!({ "labels": { "byway.dev/key": "key-1", "byway.dev/preview": "redesign" } }));
    assert_eq!(
        spec,
        json!({
            "automountServiceAccountToken": false,
            "readinessGates": [{ "conditionType": "byway.dev/routed" }],
            "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "app",
                "image": "my-app@sha256:00",
                "command": ["run"],
                "env": [
                    { "name": "BYWAY_KEY", "value": "key-1" },
                    { "name": "BYWAY_PREVIEW", "value": "redesign" },
                    { "name": "A", "value": "b" },
                ],
                "ports": [
                    { "containerPort": 8080, "name": "p-8080", "protocol": "TCP" },
                    { "containerPort": 9090, "name": "p-9090", "protocol": "TCP" },
                ],
                "readinessProbe": { "tcpSocket": { "port": 8080 }, "periodSeconds": 2 },
                "lifecycle": { "preStop": { "sleep": { "seconds": 5 } } },
                "securityContext": { "allowPrivilegeEscalation": false },
            }],
        })
    );
    let service = serde_json::to_value(children.service.unwrap()).unwrap();
    let deployment = serde_json::to_value(&children.deployment).unwrap();
    for field in ["name", "namespace", "labels", "ownerReferences"] {
        assert_eq!(service["metadata"][field], deployment["metadata"][field]);
    }
    assert_ne!(service["metadata"]["annotations"], deployment["metadata"]["annotations"]);
    assert_eq!(
        service["spec"],
        json!({
            "selector": { "byway.dev/preview": "redesign" },
            "ports": [
                { "name": "p-8080", "port": 8080, "protocol": "TCP", "targetPort": 8080 },
                { "name": "p-9090", "port": 9090, "protocol": "TCP", "targetPort": 9090 },
            ],
        })
    );
}

#[test]
fn it_needs_ports_that_fit() {
    let refusal = targetless(&preview("{target: null}"), &key()).unwrap_err();
    assert_eq!(refusal.code(), "NoPorts");
    let ports: Vec<String> = (1..34).map(|port| port.to_string()).collect();
    let many = preview(&format!("{{target: null, incoming: {{ports: [{}]}}}}", ports.join(", ")));
    assert_eq!(targetless(&many, &key()).unwrap_err().code(), "TooManyPorts");
}

#[test]
fn off_steers_nothing_but_it_can_be_called() {
    let children =
        targetless(&preview("{target: null, incoming: {mode: 'off', ports: [80]}}"), &key()).unwrap();
    assert!(children.ports.is_empty() && children.service.is_some());
    assert_eq!(pods(&children).0["containers"][0]["imagePullPolicy"], "Always");
}
