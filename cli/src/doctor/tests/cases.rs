//! One thing is changed in a healthy cluster; what is said of it.

use serde_json::{Value, json};

use super::{node, part, pod, policy, right, routes, seen, service, webhook, workload};
use crate::doctor::{Facts, Level, Look, facts::TargetFacts};

pub(super) type Change = fn(&mut Facts);

pub(super) fn target(facts: &mut Facts) -> &mut TargetFacts {
    facts.target.as_mut().unwrap()
}

/// Changes the pod template.
fn template(facts: &mut Facts, path: &str, value: Value) {
    let mut object = workload();
    let at = format!("/spec/template/{path}");
    let (parent, name) = at.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap_or_else(|| panic!("{at}"))[name] = value;
    target(facts).object = Look::Seen(Some(object));
}

fn status(facts: &mut Facts, field: &str, value: Value) {
    let mut all = routes();
    all[0]["status"][field] = value;
    facts.routes = seen(all);
}

fn node_info(facts: &mut Facts, field: &str, value: &str) {
    let mut node = node();
    node["status"]["nodeInfo"][field] = json!(value);
    facts.nodes = seen(json!([node]));
}

/// What is changed; which check tells, how bad it is, and in which words.
pub(super) const CASES: &[(Change, &str, Level, &str)] = &[
    (|f| f.version = Look::Seen((1, 29)), "Kubernetes", Level::Problem, "version 1.29"),
    (|f| f.crds = Look::Seen(Vec::new()), "Crds", Level::Problem, "not installed"),
    (|f| older_crd(f), "Crds", Level::Warning, "it lacks spec.replicas"),
    (|f| newer_crd(f), "Crds", Level::Warning, "does not know spec.novel"),
    (|f| f.parts = seen(json!([part("byway-agent")])), "Controller", Level::Problem, "no controller runs"),
    (|f| f.lease = Look::Seen(None), "Lease", Level::Problem, "no controller holds"),
    (|f| f.now = "2026-11-22T10:01:00Z".parse().unwrap(), "Lease", Level::Problem, "40 s ago"),
    (
        |f| f.parts = seen(json!([part("byway-controller")])),
        "Agents",
        Level::Problem,
        "no agent runs on node-1",
    ),
    (|f| unready_agent(f), "Agents", Level::Problem, "not ready on node-1"),
    (
        |f| f.home = seen(labelled("byway", "baseline")),
        "AgentsPodSecurity",
        Level::Problem,
        "enforces baseline",
    ),
    (|f| node_info(f, "kernelVersion", "5.10.0"), "Kernel", Level::Problem, "node-1 has the kernel 5.10.0"),
    (|f| node_info(f, "architecture", "arm64"), "Kernel", Level::Warning, "arm64"),
    (|f| node_info(f, "architecture", "riscv64"), "Kernel", Level::Problem, "riscv64"),
    (|f| node_info(f, "operatingSystem", "windows"), "Kernel", Level::Problem, "windows"),
    (
        |f| status(f, "failure", json!({ "reason": "NoBtf", "message": "no BTF" })),
        "KernelFeatures",
        Level::Problem,
        "node-1: NoBtf",
    ),
    (|f| f.routes = seen(json!([])), "KernelFeatures", Level::Unknown, "no agent has said"),
    (|f| f.space = Look::Seen(None), "Namespace", Level::Problem, "there is no namespace staging"),
    (|f| f.rights = vec![right(true, false)], "Rights", Level::Problem, "you may not create pods in staging"),
    (|f| f.rights = vec![right(false, false)], "Rights", Level::Warning, "as is needed for start"),
    (
        |f| target(f).object = Look::Seen(None),
        "Target",
        Level::Problem,
        "there is no Deployment shop in staging",
    ),
    (|f| target(f).pods = seen(json!([])), "Target", Level::Problem, "no ready pod"),
    (
        |f| template(f, "spec/hostNetwork", json!(true)),
        "HostNetwork",
        Level::Problem,
        "nothing can be steered",
    ),
    (|f| sandboxed(f, "runsc"), "Sandbox", Level::Problem, "gVisor"),
    (|f| sandboxed(f, "kata-qemu"), "Sandbox", Level::Problem, "Kata"),
    (
        |f| template(f, "spec/runtimeClassName", json!("gone")),
        "Sandbox",
        Level::Problem,
        "no RuntimeClass gone",
    ),
    (|f| claim(f, "ReadWriteOnce"), "Volumes", Level::Problem, "ClaimNotShareable"),
    (|f| claim(f, "ReadWriteMany"), "Volumes", Level::Warning, "ClaimShared"),
    (|f| hidden_claim(f), "Volumes", Level::Unknown, "list persistentvolumeclaims"),
    (
        |f| template(f, "spec/initContainers", json!([{ "name": "migrate" }])),
        "Clone",
        Level::Warning,
        "InitContainers",
    ),
    (|f| template(f, "spec/containers", json!([{ "name": "app" }])), "Clone", Level::Problem, "NoPorts"),
    (
        |f| target(f).policies = seen(policy(json!({ "podSelector": {}, "ingress": [] }))),
        "NetworkPolicies",
        Level::Ok,
        "AgentsLetIn",
    ),
    (
        |f| {
            target(f).policies =
                seen(policy(json!({ "podSelector": { "matchLabels": { "app": "shop" } }, "ingress": [{}] })));
        },
        "NetworkPolicies",
        Level::Warning,
        "NetworkPolicyLost",
    ),
    (
        |f| f.home_policies = seen(policy(json!({ "podSelector": {}, "policyTypes": ["Egress"] }))),
        "NetworkPolicies",
        Level::Problem,
        "let agents out to no other namespace",
    ),
    (|f| six(f), "IpFamilies", Level::Problem, "IPv6 only, the agents IPv4 only"),
    (|f| dual_service(f), "IpFamilies", Level::Warning, "Service shop is of IPv6"),
    (|f| sidecar(f, "istio-proxy"), "Mesh", Level::Warning, "sidecar of Istio"),
    (|f| sidecar(f, "linkerd-proxy"), "Mesh", Level::Warning, "sidecar of Linkerd"),
    (|f| sidecar(f, "kuma-sidecar"), "Mesh", Level::Warning, "sidecar of Kuma"),
    (|f| sidecar(f, "consul-dataplane"), "Mesh", Level::Warning, "the preview itself has no sidecar"),
    (
        |f| f.space = seen(json!({ "metadata": { "labels": { "istio.io/dataplane-mode": "ambient" } } })),
        "Mesh",
        Level::Warning,
        "ambient",
    ),
    (|f| f.groups = Look::Seen(vec!["cilium.io".to_owned()]), "Mesh", Level::Unknown, "Cilium"),
    (
        |f| status(f, "targets", json!([{ "target": "staging/shop-1", "tls": 3 }])),
        "Traffic",
        Level::Warning,
        "3 connections with TLS",
    ),
    (
        |f| status(f, "targets", json!([{ "target": "staging/shop-1", "ways": { "Http2": [80] } }])),
        "Traffic",
        Level::Ok,
        "connections to port 80 go through the agent, since HTTP/2 is spoken there",
    ),
    (
        |f| status(f, "targets", json!([{ "target": "staging/shop-1", "notListening": [8080] }])),
        "Traffic",
        Level::Warning,
        "nothing listens on port 8080",
    ),
    (
        |f| {
            target(f).services =
                seen(json!([service(json!({ "name": "https", "port": 443, "targetPort": 8080 }))]));
        },
        "Traffic",
        Level::Warning,
        "port 8080 is for TLS",
    ),
    (
        |f| f.space = seen(labelled("staging", "restricted")),
        "PodSecurity",
        Level::Problem,
        "app lacks runAsNonRoot",
    ),
    (|f| privileged(f), "PodSecurity", Level::Problem, "app is privileged"),
    (
        |f| f.webhooks = seen(webhook(json!({ "matchLabels": { "app": "shop" } }), json!({}))),
        "Webhooks",
        Level::Warning,
        "but not a preview's",
    ),
    (
        |f| {
            f.webhooks = seen(webhook(
                json!({ "matchExpressions": [{ "key": "app", "operator": "NotIn", "values": ["shop"] }] }),
                json!({}),
            ));
        },
        "Webhooks",
        Level::Warning,
        "but not the target's",
    ),
    (|f| quota(f, "pods", "5", "5"), "Quota", Level::Problem, "pods 0 is left, a preview needs 1"),
    (
        |f| quota(f, "requests.memory", "1Gi", "1000Mi"),
        "Quota",
        Level::Problem,
        "24Mi is left, a preview needs 256Mi",
    ),
    (|f| quota(f, "requests.cpu", "1", "950m"), "Quota", Level::Problem, "50m is left, a preview needs 100m"),
    (|f| env(f, "OTEL_PROPAGATORS", "b3"), "Propagation", Level::Warning, "it lacks baggage"),
    (|f| env(f, "DD_TRACE_PROPAGATION_STYLE", "datadog"), "Propagation", Level::Warning, "it lacks baggage"),
    (|f| env(f, "COLOUR", "blue"), "Propagation", Level::Unknown, "no sign of a tracer"),
];

fn older_crd(facts: &mut Facts) {
    change_crd(facts, |spec| assert!(spec.remove("replicas").is_some()));
}

fn newer_crd(facts: &mut Facts) {
    change_crd(facts, |spec| assert!(spec.insert("novel".to_owned(), json!({ "type": "string" })).is_none()));
}

fn change_crd(facts: &mut Facts, change: impl Fn(&mut serde_json::Map<String, Value>)) {
    let mut all = serde_json::to_value(facts.crds.seen().unwrap()).unwrap();
    let at = "/0/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    change(all.pointer_mut(at).unwrap().as_object_mut().unwrap());
    facts.crds = seen(all);
}

fn unready_agent(facts: &mut Facts) {
    let mut agent = part("byway-agent");
    agent["status"]["conditions"][0]["status"] = json!("False");
    facts.parts = seen(json!([agent, part("byway-controller")]));
}

fn labelled(name: &str, level: &str) -> Value {
    json!({ "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": level } } })
}

fn sandboxed(facts: &mut Facts, handler: &str) {
    template(facts, "spec/runtimeClassName", json!("boxed"));
    facts.runtimes = seen(json!([{ "metadata": { "name": "boxed" }, "handler": handler }]));
}

fn claim(facts: &mut Facts, mode: &str) {
    let mut object = workload();
    let pods = &mut object["spec"]["template"]["spec"];
    pods["volumes"] = json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }]);
    pods["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "/data" }]);
    target(facts).object = Look::Seen(Some(object));
    target(facts).claims =
        seen(json!([{ "metadata": { "name": "data" }, "spec": { "accessModes": [mode] } }]));
}

fn hidden_claim(facts: &mut Facts) {
    claim(facts, "ReadWriteOnce");
    target(facts).claims = Look::Hidden("needs the permission to list persistentvolumeclaims".to_owned());
}

fn six(facts: &mut Facts) {
    let mut one = pod("shop-1", "node-1", json!({ "app": "shop" }));
    one["status"]["podIPs"] = json!([{ "ip": "fd00::1" }]);
    target(facts).pods = seen(json!([one]));
}

fn dual_service(facts: &mut Facts) {
    let mut service = service(json!({ "port": 8080 }));
    service["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
    target(facts).services = seen(json!([service]));
}

fn sidecar(facts: &mut Facts, name: &str) {
    let mut one = pod("shop-1", "node-1", json!({ "app": "shop" }));
    one["spec"]["initContainers"] = json!([{ "name": name, "restartPolicy": "Always" }]);
    target(facts).pods = seen(json!([one]));
}

fn privileged(facts: &mut Facts) {
    facts.space = seen(labelled("staging", "baseline"));
    template(facts, "spec/containers/0/securityContext", json!({ "privileged": true }));
}

fn quota(facts: &mut Facts, resource: &str, hard: &str, used: &str) {
    facts.quotas = seen(
        json!([{ "metadata": { "name": "q" }, "status": { "hard": { resource: hard }, "used": { resource: used } } }]),
    );
}

fn env(facts: &mut Facts, name: &str, value: &str) {
    template(facts, "spec/containers/0/env", json!([{ "name": name, "value": value }]));
}
