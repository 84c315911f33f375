use byway_api::TargetKind;
use serde_json::Value;

use super::{Found, source_of};
use crate::clone::testing::{alone, found, reasons, yaml};
use crate::clone::{Refusal, Source};
use crate::rows::TemplateOf;

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
    assert_eq!(elsewhere.template, TemplateOf::Workload(TargetKind::Deployment, "web-base".into()));
    let deployment: Value = yaml(
        "{metadata: {name: web-base, uid: d-1}, spec: {replicas: 0, selector: {matchLabels: {app: web}}, \
          template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web}]}}}}",
    );
    let source = elsewhere.resolve(&deployment).unwrap();
    assert_eq!((source.to_string().as_str(), source.uid.as_str()), ("Rollout web", "r-1"));
    assert_eq!(source.selector.unwrap().match_labels.unwrap()["app"], "web");

    let odd: Value = yaml("{metadata: {name: web}, spec: {workloadRef: {kind: StatefulSet, name: web}}}");
    let refusal = source_of(TargetKind::Rollout, &odd).unwrap_err();
    assert_eq!(refusal.code(), "UnsupportedWorkloadRef");
    assert_eq!(
        refusal.to_string(),
        "Rollout web takes its template from a \"StatefulSet\": only a Deployment, a ReplicaSet or a PodTemplate can be read"
    );
}

/// A Rollout with this spec beside its strategy, whose template is this object's.
fn rollout(spec: &str, object: &str) -> Result<Source, Refusal> {
    let rollout: Value = yaml(&format!(
        "{{metadata: {{name: web, uid: r-1, labels: {{team: shop}}}}, spec: {{strategy: {{canary: {{}}}}, {spec}}}}}"
    ));
    let Found::WorkloadRef(elsewhere) = source_of(TargetKind::Rollout, &rollout).unwrap() else { panic!() };
    elsewhere.resolve(&yaml(object))
}

const POD_TEMPLATE: &str = "{apiVersion: v1, kind: PodTemplate, metadata: {name: base, labels: {of: template}}, template: {metadata: {labels: {app: web}}, \
    spec: {containers: [{name: web, image: 'web:1', ports: [{containerPort: 8080}]}], brandNew: 1}}}";

#[test]
fn a_rollout_may_keep_its_template_in_a_pod_template() {
    let own =
        "selector: {matchLabels: {app: web}}, workloadRef: {apiVersion: v1, kind: PodTemplate, name: base}";
    let source = rollout(own, POD_TEMPLATE).unwrap();
    assert_eq!((source.to_string().as_str(), source.uid.as_str()), ("Rollout web", "r-1"));
    assert_eq!(source.labels, yaml("{team: shop}"));
    assert_eq!(source.meta.labels.clone().unwrap()["app"], "web");
    assert_eq!(source.unknown, ["spec.brandNew"]);
    let clone = alone("{target: {kind: Rollout, name: web}}", &source).unwrap();
    assert_eq!(clone.ports, [8080]);

    let missing = rollout(own, "{metadata: {name: base}}").unwrap_err();
    assert_eq!(
        missing.to_string(),
        "PodTemplate base has no pod template: name the workload that runs the pods"
    );
}

#[test]
fn a_rollout_whose_pods_nobody_can_tell_is_refused() {
    for selector in ["", "selector: {}, ", "selector: null, "] {
        let spec = format!("{selector}workloadRef: {{apiVersion: v1, kind: PodTemplate, name: base}}");
        let source = rollout(&spec, POD_TEMPLATE).unwrap();
        let refusal = alone("{target: {kind: Rollout, name: web}}", &source).unwrap_err();
        assert_eq!(refusal.code(), "NoSelector");
        assert_eq!(
            refusal.to_string(),
            "Rollout web does not say which pods are its own, so none can be steered: set its spec.selector"
        );
    }
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
