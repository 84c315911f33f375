//! A healthy cluster, and what each check says when one thing in it is changed.
#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::facts::{Facts, Look, Right, TargetFacts};
use super::{CHECKS, Finding, Level, checks, text, worst};

mod cases;

use cases::{CASES, Change, target};

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value:#}"))
}

fn seen<T: DeserializeOwned>(value: Value) -> Look<T> {
    Look::Seen(of(value))
}

fn pod(name: &str, node: &str, labels: Value) -> Value {
    json!({
        "metadata": { "name": name, "labels": labels },
        "spec": { "nodeName": node, "containers": [{ "name": "app" }] },
        "status": { "podIPs": [{ "ip": "10.0.0.1" }], "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

fn part(component: &str) -> Value {
    pod(
        component,
        "node-1",
        json!({ "app.kubernetes.io/name": "byway", "app.kubernetes.io/component": component }),
    )
}

fn node() -> Value {
    json!({
        "metadata": { "name": "node-1" },
        "status": {
            "conditions": [{ "type": "Ready", "status": "True" }],
            "nodeInfo": {
                "kernelVersion": "6.1.0-20-amd64", "operatingSystem": "linux", "architecture": "amd64",
                "machineID": "", "systemUUID": "", "bootID": "", "osImage": "", "containerRuntimeVersion": "",
                "kubeletVersion": "", "kubeProxyVersion": "",
            },
        },
    })
}

fn workload() -> Value {
    json!({
        "metadata": { "name": "shop", "uid": "1" },
        "spec": {
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": { "labels": { "app": "shop", "team": "a" } },
                "spec": { "containers": [{
                    "name": "app", "image": "shop:1", "ports": [{ "containerPort": 8080, "name": "http" }],
                    "env": [{ "name": "OTEL_PROPAGATORS", "value": "tracecontext,baggage" }],
                    "resources": { "requests": { "memory": "256Mi", "cpu": "100m" } },
                }] },
            },
        },
    })
}

fn routes() -> Value {
    json!([{
        "metadata": { "name": "node-1" },
        "spec": { "table": "{}" },
        "status": {
            "instance": { "podUid": "u", "startedAt": "2026-11-22T00:00:00Z" },
            "targets": [{ "target": "staging/shop-1" }],
        },
    }])
}

/// All is well.
fn healthy() -> Facts {
    let spec = json!({ "key": "k", "target": { "kind": "Deployment", "name": "shop" }, "image": "shop:2" });
    let preview = json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
        "metadata": { "name": "doctor", "namespace": "staging" }, "spec": spec,
    });
    Facts {
        now: "2026-11-22T10:00:10Z".parse().unwrap(),
        namespace: "staging".to_owned(),
        version: Look::Seen((1, 34)),
        crds: Look::Seen(byway_api::crds().into_iter().map(|(_, crd)| crd).collect()),
        nodes: seen(json!([node()])),
        parts: seen(json!([part("byway-agent"), part("byway-controller")])),
        lease: seen(json!({ "metadata": {}, "spec": {
            "holderIdentity": "c", "leaseDurationSeconds": 15, "renewTime": "2026-11-22T10:00:05.000000Z",
        } })),
        routes: seen(routes()),
        home: seen(
            json!({ "metadata": { "name": "byway", "labels": { "pod-security.kubernetes.io/enforce": "privileged" } } }),
        ),
        home_policies: seen(json!([])),
        space: seen(json!({ "metadata": { "name": "staging", "labels": { "inject": "yes" } } })),
        quotas: seen(json!([])),
        webhooks: seen(json!([])),
        runtimes: seen(json!([])),
        groups: Look::Seen(vec!["apps".to_owned()]),
        rights: vec![right(true, true), right(false, true)],
        target: Some(TargetFacts {
            target: of(json!({ "kind": "Deployment", "name": "shop" })),
            preview: of(preview),
            object: Look::Seen(Some(workload())),
            template: Look::Seen(None),
            pods: seen(json!([pod("shop-1", "node-1", json!({ "app": "shop", "team": "a" }))])),
            services: seen(json!([service(json!({ "name": "http", "port": 80, "targetPort": "http" }))])),
            policies: seen(json!([])),
            claims: seen(json!([])),
            selectors: Look::Seen(Vec::new()),
        }),
    }
}

fn right(required: bool, allowed: bool) -> Right {
    Right { what: "create pods".to_owned(), needed_for: "start", required, allowed: Look::Seen(allowed) }
}

fn service(port: Value) -> Value {
    json!({ "metadata": { "name": "shop" }, "spec": { "selector": { "app": "shop" }, "ports": [port], "ipFamilies": ["IPv4"] } })
}

fn webhook(object: Value, space: Value) -> Value {
    json!([{ "metadata": { "name": "w" }, "webhooks": [{
        "name": "inject.example.com", "admissionReviewVersions": ["v1"], "clientConfig": {}, "sideEffects": "None",
        "objectSelector": object, "namespaceSelector": space,
        "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }],
    }] }])
}

fn policy(spec: Value) -> Value {
    json!([{ "metadata": { "name": "wall" }, "spec": spec }])
}

#[test]
fn a_healthy_cluster_is_well() {
    let findings = checks::run(&healthy());
    let amiss: Vec<&Finding> = findings.iter().filter(|finding| finding.level != Level::Ok).collect();
    assert!(amiss.is_empty(), "{amiss:#?}");
    let codes: BTreeSet<&str> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes.len(), CHECKS.len(), "some check says nothing");
}

/// Each answer says by itself what was looked at.
#[test]
fn what_is_well_is_told_in_sentences() {
    assert_eq!(
        text(&checks::run(&healthy()), true),
        fs::read_to_string(here("src/doctor/tests/healthy.txt")).unwrap()
    );
}

#[test]
fn each_change_is_told_by_its_check() {
    for (change, code, level, words) in CASES {
        let mut facts = healthy();
        change(&mut facts);
        let findings = checks::run(&facts);
        let told = |it: &Finding| it.code == *code && it.level == *level && it.message.contains(words);
        assert!(findings.iter().any(told), "{code} {level:?} {words:?} is not in {findings:#?}");
        let worse = |it: &&Finding| it.code == *code && it.level > *level;
        assert_eq!(findings.iter().find(worse), None, "{code}: {words}");
    }
    let told: BTreeSet<&str> = CASES.iter().map(|(_, code, ..)| *code).collect();
    let untold: Vec<&str> =
        CHECKS.iter().map(|check| check.code).filter(|code| !told.contains(code)).collect();
    assert!(untold.is_empty(), "no case makes these speak: {untold:?}");
}

/// What looks like trouble, and is none for this target.
#[test]
fn what_is_no_trouble_is_not_told() {
    let harmless: [(Change, &str); 4] = [
        // A webhook for changes, a policy that lets agents out, an ambient namespace that the pod is kept out of.
        (
            |f| {
                let mut all = webhook(json!({ "matchLabels": { "app": "shop" } }), json!({}));
                all[0]["webhooks"][0]["rules"][0]["operations"] = json!(["UPDATE"]);
                f.webhooks = seen(all);
            },
            "Webhooks",
        ),
        (
            |f| {
                let out = json!({ "to": [{ "namespaceSelector": {} }] });
                let here = json!({ "to": [{ "podSelector": {} }] });
                f.home_policies = seen(policy(json!({ "podSelector": {}, "egress": [here, out] })));
            },
            "NetworkPolicies",
        ),
        (
            |f| {
                let mode = |mode: &str| json!({ "istio.io/dataplane-mode": mode });
                f.space = seen(json!({ "metadata": { "labels": mode("ambient") } }));
                let mut labels = mode("none");
                labels["app"] = json!("shop");
                target(f).pods = seen(json!([pod("shop-1", "node-1", labels)]));
            },
            "Mesh",
        ),
        (|f| f.webhooks = seen(webhook(json!({}), json!({ "matchLabels": { "inject": "no" } }))), "Webhooks"),
    ];
    for (change, code) in harmless {
        let mut facts = healthy();
        change(&mut facts);
        let findings = checks::run(&facts);
        assert_eq!(worst(&findings), Level::Ok, "{code}: {findings:#?}");
    }
    let mut facts = healthy();
    let rules = json!([{ "to": [{ "podSelector": {} }] }]);
    facts.home_policies = seen(policy(json!({ "podSelector": {}, "egress": rules })));
    assert_eq!(worst(&checks::run(&facts)), Level::Problem, "agents get to pods of their own namespace only");
}

/// A preview's pods are none of the target's, whatever their labels.
#[test]
fn previews_do_not_count_as_the_target() {
    let mut facts = healthy();
    let labels = json!({ "app": "shop", "byway.dev/preview": "redesign" });
    target(&mut facts).pods = seen(json!([pod("byway-redesign-1", "node-1", labels)]));
    let findings = checks::run(&facts);
    assert!(findings.iter().any(|it| it.code == "Target" && it.level == Level::Problem), "{findings:#?}");
}

/// Whatever may not be seen is said, and nothing is called well for it.
#[test]
fn what_cannot_be_seen_is_unknown() {
    fn hide<T>(look: &mut Look<T>) {
        *look = Look::Hidden("needs the permission to list things".to_owned());
    }
    let hides: [(Change, &str); 13] = [
        (|f| hide(&mut f.crds), "Crds"),
        (|f| hide(&mut f.nodes), "Kernel"),
        (|f| hide(&mut f.parts), "Agents"),
        (|f| hide(&mut f.lease), "Lease"),
        (|f| hide(&mut f.routes), "KernelFeatures"),
        (|f| hide(&mut f.home), "AgentsPodSecurity"),
        (|f| hide(&mut f.space), "PodSecurity"),
        (|f| hide(&mut f.quotas), "Quota"),
        (|f| hide(&mut f.webhooks), "Webhooks"),
        (|f| hide(&mut f.groups), "Mesh"),
        (|f| hide(&mut target(f).object), "Target"),
        (|f| hide(&mut target(f).pods), "Target"),
        (|f| hide(&mut target(f).policies), "NetworkPolicies"),
    ];
    for (hide, code) in hides {
        let mut facts = healthy();
        hide(&mut facts);
        let findings = checks::run(&facts);
        let said =
            |it: &Finding| it.code == code && it.level == Level::Unknown && it.message.contains("permission");
        assert!(findings.iter().any(said), "{code}: {findings:#?}");
        assert!(worst(&findings) <= Level::Unknown, "{code}: {findings:#?}");
    }
}

#[test]
fn without_a_target_only_the_cluster_is_looked_at() {
    let findings = checks::run(&Facts { target: None, ..healthy() });
    let of_target: Vec<&str> =
        CHECKS.iter().filter(|check| check.of_target).map(|check| check.code).collect();
    assert!(findings.iter().all(|finding| !of_target.contains(&finding.code)));
    assert_eq!(worst(&findings), Level::Ok);
}

#[test]
fn people_read_the_worst_last() {
    let mut facts = healthy();
    facts.lease = Look::Seen(None);
    facts.rights = vec![right(false, false)];
    let shown = text(&checks::run(&facts), false);
    let (warning, problem) = (shown.find("warning  Rights").unwrap(), shown.find("problem  Lease").unwrap());
    assert!(warning < problem, "{shown}");
    assert!(shown.contains("1 problem, 1 warning, 0 unknown"), "{shown}");
    assert!(!shown.contains("ok  "), "{shown}");
    assert!(text(&checks::run(&facts), true).contains("ok       Kubernetes: "));
}

#[test]
fn every_check_is_documented() {
    let page = fs::read_to_string(here("../docs/doctor.md")).unwrap();
    let rows: Vec<String> = CHECKS
        .iter()
        .map(|check| format!("| `{}` | {} | {} |\n", check.code, check.asks, check.fix))
        .collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !page.contains(*row)).collect();
    assert!(missing.is_empty(), "docs/doctor.md lacks {missing:#?}");
    let count = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(count, CHECKS.len(), "docs/doctor.md tells of checks that are not there");
}

#[test]
fn quantities_are_compared_as_numbers() {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    let number = |text: &str| super::quantity::number(&Quantity(text.to_owned()));
    for (text, value) in [
        ("1", 1.0),
        ("100m", 0.1),
        ("1Ki", 1024.0),
        ("2k", 2000.0),
        ("1e3", 1000.0),
        ("0.5Gi", 536_870_912.0),
    ] {
        assert_eq!(number(text), Some(value), "{text}");
    }
    assert_eq!((number("inf"), number("x"), number("")), (None, None, None));
}
