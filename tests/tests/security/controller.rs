//! The controller itself, with the rights that the chart gives it: whatever it does for Previews of all kinds, it is
//! never told that it may not.
//!
//! Kubelet and agent are played by this test. The agent's part is done with the token of a pod that the chart's DaemonSet made.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use byway_tests::{Running, built, eventually};
use serde_json::{Value, json};

use crate::installed::{NAMESPACE, Who, apply, ask, cluster, controller_alone, preview, replace_status};

const NODE: &str = "played";
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_controller_with_these_rights_does_all_its_work() {
    let _alone = controller_alone();
    let namespace = cluster().namespace("whole").unwrap();
    make_node();
    let agent = eventually(PATIENCE, agent_pod).expect("the DaemonSet makes an agent");
    let token = cluster().kubeconfig_for(NAMESPACE, "byway-agent", Some((&agent.0, &agent.1))).unwrap();
    make_targets(&namespace);
    let mut controller = start();

    let kinds = ["Deployment", "StatefulSet", "Pod", "Rollout"];
    for kind in kinds {
        make(&namespace, &kind.to_lowercase(), &json!({ "kind": kind, "name": "app" }), &[]);
    }
    make(&namespace, "fresh", &Value::Null, &[]);
    let ended = [("ttl", "60s"), ("renewedAt", "2020-01-01T00:00:00Z"), ("key", "ended")];
    make(&namespace, "ended", &json!({ "kind": "Deployment", "name": "app" }), &ended);

    let play = || {
        play_kubelet(&namespace);
        play_kubelet(NAMESPACE);
        play_agent(&token, &agent.1);
    };
    let phases = || {
        let get = ["get", "previews", "-n", &namespace, "-o"];
        let path = "jsonpath={range .items[*]}{.metadata.name}={.status.phase} {end}";
        cluster().ask([&get[..], &[path]].concat()).unwrap()
    };
    let wanted = "deployment=Ready fresh=Ready pod=Ready rollout=Ready statefulset=Ready ";
    let ready = || {
        play();
        (phases() == wanted).then_some(())
    };
    let all_ready = eventually(PATIENCE, ready);
    assert!(all_ready.is_some(), "{}\n{}", phases(), controller.log());
    let services =
        cluster().ask(["get", "service", "-n", &namespace, "-l", "byway.dev/preview=fresh", "-o", "name"]);
    assert!(services.unwrap().starts_with("service/byway-fresh-"));
    let events =
        ["get", "events.events.k8s.io", "-n", &namespace, "-o", "jsonpath={.items[*].reportingController}"];
    let reported = || cluster().ask(events).unwrap().contains("byway-controller").then_some(());
    assert!(eventually(PATIENCE, reported).is_some(), "Previews have events");

    // A Service that comes later does not keep the previews' pods.
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "later", "namespace": namespace },
        "spec": { "selector": { "tier": "shop" }, "ports": [{ "port": 80 }] },
    });
    apply(Who::Admin, "", &service).unwrap();
    let selected = || {
        let of_previews =
            ["get", "pods", "-n", &namespace, "-l", "byway.dev/preview,tier=shop", "-o", "name"];
        cluster().ask(of_previews).unwrap()
    };
    let escaped = || {
        play();
        selected().is_empty().then_some(())
    };
    assert!(eventually(PATIENCE, escaped).is_some(), "{}\n{}", selected(), controller.log());

    // All that it made goes again.
    cluster().ask(["delete", "previews", "--all", "-n", &namespace]).unwrap();
    let left = || {
        let ours = ["get", "deployments,services", "-n", &namespace, "-l", "byway.dev/preview", "-o", "name"];
        let routes = ["get", "noderoutes", NODE, "--ignore-not-found", "-o", "name"];
        cluster().ask(ours).unwrap() + &cluster().ask(routes).unwrap()
    };
    let gone = eventually(PATIENCE, || left().is_empty().then_some(()));
    assert!(gone.is_some(), "{}\n{}", left(), controller.log());

    controller.stop(Duration::from_secs(10)).unwrap();
    let log = controller.log().to_lowercase();
    let denied: Vec<_> = log.lines().filter(|line| line.contains("forbidden")).collect();
    assert_eq!(denied, Vec::<&str>::new());
    assert!(log.contains("leading"), "{log}");
}

fn start() -> Running {
    let mut command = Command::new(built("byway-controller"));
    command.args(["--admin", "127.0.0.1:0", "--keep-expired", "0", "--lease", "3"]);
    command.env("KUBECONFIG", cluster().kubeconfig_for(NAMESPACE, "byway-controller", None).unwrap());
    command
        .env("POD_NAMESPACE", NAMESPACE)
        .env("POD_NAME", "played")
        .env("RUST_LOG", "info")
        .process_group(0);
    Running::spawn("byway-controller", &mut command).unwrap()
}

fn make(namespace: &str, name: &str, target: &Value, more: &[(&str, &str)]) {
    let mut object: Value = serde_json::from_str(&preview(namespace, name, target)).unwrap();
    more.iter().for_each(|(field, value)| object["spec"][field] = (*value).into());
    apply(Who::Admin, "", &object).unwrap();
}

fn make_node() {
    let labels = json!({ "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux" });
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE, "labels": labels } });
    apply(Who::Admin, "", &node).unwrap();
    let room = json!({ "cpu": "100", "memory": "100Gi", "pods": "100" });
    let ready = json!({ "type": "Ready", "status": "True", "reason": "Played" });
    let status = json!({ "capacity": room, "allocatable": room, "conditions": [ready] });
    patch_status("node", NODE, "default", &json!({ "status": status }));
}

/// Name and UID of the agent's pod on the node.
fn agent_pod() -> Option<(String, String)> {
    let get = ["get", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=byway-agent"];
    let field = format!("--field-selector=spec.nodeName={NODE}");
    let path = "jsonpath={.items[0].metadata.name} {.items[0].metadata.uid}";
    let said = cluster().ask([&get[..], &[&field, "-o", path]].concat()).ok()?;
    said.split_once(' ').map(|(name, uid)| (name.to_owned(), uid.to_owned()))
}

/// A workload of each kind, all named `app`.
fn make_targets(namespace: &str) {
    let container =
        json!({ "name": "app", "image": "localhost/app:1", "ports": [{ "containerPort": 8080 }] });
    let meta = |labels: Value| json!({ "name": "app", "namespace": namespace, "labels": labels });
    let workload = |group: &str, kind: &str, claim: &str| {
        let labels = json!({ "app": kind });
        let mut pod = json!({ "containers": [container] });
        if !claim.is_empty() {
            pod["volumes"] = json!([{ "name": "data", "persistentVolumeClaim": { "claimName": claim } }]);
        }
        json!({
            "apiVersion": group, "kind": kind, "metadata": meta(labels.clone()),
            "spec": {
                "replicas": 1, "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": { "app": kind, "tier": "shop" } }, "spec": pod },
            },
        })
    };
    // It takes its template from elsewhere.
    let mut rollout = workload("argoproj.io/v1alpha1", "Rollout", "");
    let template = json!({
        "apiVersion": "v1", "kind": "PodTemplate", "metadata": meta(json!({})),
        "template": rollout["spec"]["template"].take(),
    });
    rollout["spec"]["workloadRef"] = json!({ "apiVersion": "v1", "kind": "PodTemplate", "name": "app" });
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "rollouts.argoproj.io" },
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced", "names": { "kind": "Rollout", "plural": "rollouts" },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    });
    apply(Who::Admin, "", &crd).unwrap();
    cluster()
        .ask(["wait", "--for=condition=Established", "crd/rollouts.argoproj.io", "--timeout=30s"])
        .unwrap();
    let mut stateful = workload("apps/v1", "StatefulSet", "");
    stateful["spec"]["serviceName"] = "app".into();
    // Nobody runs the Rollout's pods but this.
    let of_rollout = |name: &str, kind: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "spec": { "nodeName": NODE, "containers": [container] },
            "metadata": { "name": name, "namespace": namespace, "labels": { "app": kind } },
        })
    };
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "played" },
        "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteMany"], "hostPath": { "path": "/played" },
            "claimRef": { "name": "data", "namespace": namespace },
        },
    });
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data", "namespace": namespace },
        "spec": {
            "storageClassName": "", "volumeName": "played", "accessModes": ["ReadWriteMany"],
            "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    let objects = [
        volume,
        claim,
        workload("apps/v1", "Deployment", "data"),
        stateful,
        template,
        rollout,
        of_rollout("app", "Pod"),
        of_rollout("rolled", "Rollout"),
    ];
    for object in objects {
        apply(Who::Admin, "", &object).unwrap();
    }
}

/// Runs every pod that is bound to the node.
fn play_kubelet(namespace: &str) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let field = format!("spec.nodeName={NODE}");
    let pods =
        cluster().ask(["get", "pods", "-n", namespace, "-o", "json", "--field-selector", &field]).unwrap();
    let pods: Value = serde_json::from_str(&pods).unwrap();
    for pod in pods["items"].as_array().unwrap() {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let mut held = conditions.filter(|it| it["status"] == "True").map(|it| it["type"].as_str().unwrap());
        let opened = held.clone().any(|it| it == "byway.dev/routed");
        if held.any(|it| it == "Ready") || !pod["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let ready = pod["spec"]["readinessGates"].is_null() || opened;
        let condition =
            |type_: &str, is: bool| json!({ "type": type_, "status": if is { "True" } else { "False" } });
        let mut readiness = condition("Ready", ready);
        if !ready {
            readiness["reason"] = "ReadinessGatesNotReady".into(); // as a kubelet says
        }
        // It keeps the address that it has.
        let fresh = format!("10.9.0.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let ip = pod["status"]["podIP"].as_str().unwrap_or(&fresh);
        let status = json!({
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{ "ip": ip }],
            "conditions": [condition("ContainersReady", true), readiness],
        });
        patch_status(
            "pod",
            pod["metadata"]["name"].as_str().unwrap(),
            namespace,
            &json!({ "status": status }),
        );
    }
}

/// Acknowledges whatever is wanted of the node.
fn play_agent(token: &Path, uid: &str) {
    let Ok(routes) = ask(Who::Bearer(token), &["get", "noderoutes", NODE, "-o", "json"], "") else { return };
    let mut routes: Value = serde_json::from_str(&routes).unwrap();
    let table = byway_tests::table_of(&routes).unwrap();
    let previews = table["previews"].as_array().into_iter().flatten();
    let live: Vec<_> = previews.map(|it| json!({ "name": it["name"], "revision": it["revision"] })).collect();
    routes["status"] = json!({
        "instance": { "podUid": uid, "startedAt": "2030-01-01T00:00:00Z" },
        "observedGeneration": routes["metadata"]["generation"], "previews": live,
    });
    routes["metadata"] = json!({ "name": NODE });
    // The policy lets it write once it is named.
    if routes["spec"]["agentPodUid"] == uid {
        replace_status(Who::Bearer(token), routes).unwrap();
    }
}

fn patch_status(kind: &str, name: &str, namespace: &str, patch: &Value) {
    let patch = patch.to_string();
    let args = ["patch", kind, name, "-n", namespace, "--subresource=status", "-p", &patch];
    ask(Who::Admin, &args, "").unwrap();
}
