use byway_api::TargetKind;
use serde_json::Value;

use super::{Found, source_of};
use crate::clone::testing::{alone, found, reasons, yaml};

#[test]
fn workloads_are_read() {
    let object: Value = yaml(
        "{metadata: {name: db, uid: u-1}, spec: {serviceName: db, selector: {matchLabels: {app: db}}, \
          template: {metadata: {labels: {app: db}, creationTimestamp: null}, spec: {containers: [{name: db}]}}, \
          volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]}, status: {replicas: 1}}",
    );
    let source = found(TargetKind::StatefulSet, &object);
    assert_eq!(
        (source.name.as_str(), source.uid.as_str(), source.to_string()),
        ("db", "u-1", "StatefulSet db".to_owned())
    );
    assert_eq!(source.claim_templates[0].metadata.name.as_deref(), Some("data"));
    assert_eq!(source.selector.unwrap().match_labels.unwrap()["app"], "db");
    assert_eq!(source.meta.labels.unwrap()["app"], "db");
    assert!(source.unknown.is_empty(), "{:?}", source.unknown);
}

#[test]
fn a_rollout_may_keep_its_template_elsewhere() {
    let own: Value = yaml(
        "{metadata: {name: web, uid: r-1}, spec: {strategy: {canary: {}}, selector: {matchLabels: {app: web}}, \
          template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web}]}}}}",
    );
    assert_eq!(found(TargetKind::Rollout, &own).to_string(), "Rollout web");

    let refers: Value = yaml(
        "{metadata: {name: web, uid: r-1}, spec: {strategy: {canary: {}}, workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web-base}}}",
    );
    let Found::WorkloadRef(elsewhere) = source_of(TargetKind::Rollout, &refers).unwrap() else { panic!() };
    assert_eq!((elsewhere.kind, elsewhere.name.as_str()), (TargetKind::Deployment, "web-base"));
    let deployment: Value = yaml(
        "{metadata: {name: web-base, uid: d-1}, spec: {replicas: 0, selector: {matchLabels: {app: web}}, \
          template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web}]}}}}",
    );
    let source = elsewhere.resolve(&deployment).unwrap();
    assert_eq!((source.to_string().as_str(), source.uid.as_str()), ("Rollout web", "r-1"));
    assert_eq!(source.selector.unwrap().match_labels.unwrap()["app"], "web");

    let odd: Value = yaml("{metadata: {name: web}, spec: {workloadRef: {kind: PodTemplate, name: web}}}");
    let refusal = source_of(TargetKind::Rollout, &odd).unwrap_err();
    assert_eq!(refusal.code(), "UnsupportedWorkloadRef");
    assert_eq!(
        refusal.to_string(),
        "Rollout web takes its template from a \"PodTemplate\": only a Deployment or a ReplicaSet can be read"
    );
}

#[test]
fn a_replica_set_of_a_deployment_is_refused() {
    let owned: Value = yaml(
        "{metadata: {name: web-5d4f, ownerReferences: [{kind: Deployment, name: web, controller: true, apiVersion: apps/v1, uid: u}]}, \
          spec: {template: {spec: {containers: [{name: web}]}}}}",
    );
    let refusal = source_of(TargetKind::ReplicaSet, &owned).unwrap_err();
    assert_eq!(refusal.code(), "OwnedReplicaSet");
    assert_eq!(
        refusal.to_string(),
        "ReplicaSet web-5d4f is one revision of Deployment web: make that the target"
    );
}

#[test]
fn what_is_no_workload_is_refused() {
    let template = |object: &str| source_of(TargetKind::Rollout, &yaml(object)).unwrap_err();
    assert_eq!(template("{metadata: {name: web}, spec: {}}").code(), "NoTemplate");
    assert_eq!(template("{metadata: {name: web}, spec: {template: {metadata: {}}}}").code(), "NoTemplate");
    let broken = template("{metadata: {name: web}, spec: {template: {spec: {containers: 7}}}}");
    assert_eq!(broken.code(), "TargetUnreadable");
    assert!(broken.to_string().starts_with("Rollout web: spec cannot be read (invalid type"), "{broken}");
}

#[test]
fn fields_of_a_newer_kubernetes_are_named() {
    let object: Value = yaml(
        "{metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {spec: {brandNew: 1, gone: null, containers: \
          [{name: web, ports: [{containerPort: 80}], resources: {}}, {name: b, securityContext: {warp: {speed: 9}}}]}}}}",
    );
    let source = found(TargetKind::Deployment, &object);
    assert_eq!(source.unknown, ["spec.brandNew", "spec.containers[1].securityContext.warp"]);
    let clone = alone("{}", &source).unwrap();
    assert_eq!(reasons(&clone), ["UnknownFields"]);
    assert!(
        clone.warnings[0]
            .message
            .ends_with("left out: spec.brandNew, spec.containers[1].securityContext.warp")
    );
}
