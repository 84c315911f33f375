//! `doctor` on a real API server: what it asks is served, and what a user may not see is said.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use byway_cli::args::DoctorArgs;
use byway_cli::args::Global;
use byway_cli::doctor::{Finding, Level, look};
use byway_sim::{Kube, Sim};
use byway_tests::{Cluster, eventually};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

struct Stage {
    // Dropped in this order.
    sim: Sim,
    kube: Kube,
    cluster: Cluster,
}

/// One node with an agent, the CRDs, and no controller.
fn stage() -> &'static Stage {
    static STAGE: LazyLock<Stage> = LazyLock::new(|| {
        let cluster = Cluster::builder().simulated_nodes().without_scheduler().start().unwrap();
        let kube = Kube::of(&cluster).unwrap();
        kube.install_crds().unwrap();
        let sim = Sim::builder(&kube).nodes(1).start().unwrap();
        Stage { sim, kube, cluster }
    });
    &STAGE
}

fn asked_as(kubeconfig: &Path, namespace: &str, args: &DoctorArgs) -> Vec<Finding> {
    let global = Global {
        namespace: Some(namespace.to_owned()),
        kubeconfig: Some(kubeconfig.to_path_buf()),
        ..Global::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(look(&global, args)).unwrap()
}

fn asked(namespace: &str, args: &DoctorArgs) -> Vec<Finding> {
    asked_as(stage().cluster.kubeconfig(), namespace, args)
}

fn of_target(name: &str) -> DoctorArgs {
    let target = serde_json::from_value(json!({ "kind": "Deployment", "name": name })).unwrap();
    DoctorArgs { target: Some(target), ..DoctorArgs::default() }
}

/// A Deployment with these fields in its pod spec.
fn deploy(namespace: &str, name: &str, more: &Value) {
    let mut pods =
        json!({ "containers": [{ "name": "app", "image": "app:1", "ports": [{ "containerPort": 8080 }] }] });
    pods.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": pods },
        },
    });
    stage().kube.apply(&object).unwrap();
}

fn levels<'f>(findings: &'f [Finding], code: &str) -> Vec<(Level, &'f str)> {
    let of = findings.iter().filter(|finding| finding.code == code);
    of.map(|finding| (finding.level, finding.message.as_str())).collect()
}

fn level(findings: &[Finding], code: &str) -> Option<Level> {
    levels(findings, code).into_iter().map(|(level, _)| level).max()
}

#[test]
fn a_target_is_judged_by_what_is_there() {
    let kube = &stage().kube;
    let namespace = kube.namespace("doctor", &json!({})).unwrap();
    deploy(&namespace, "shop", &json!({}));
    let findings = eventually(PATIENCE, || {
        let findings = asked(&namespace, &of_target("shop"));
        (level(&findings, "Target") == Some(Level::Ok)).then_some(findings)
    });
    let findings = findings.expect("its pod is ready at some time");
    for code in [
        "Kubernetes",
        "Crds",
        "Agents",
        "Rights",
        "HostNetwork",
        "Volumes",
        "Clone",
        "NetworkPolicies",
        "Quota",
        "Webhooks",
        "PodSecurity",
    ] {
        assert_eq!(level(&findings, code), Some(Level::Ok), "{code}: {:?}", levels(&findings, code));
    }
    // Nobody started one.
    for code in ["Controller", "Lease"] {
        assert_eq!(level(&findings, code), Some(Level::Problem), "{code}");
    }

    kube.apply(&json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data", "namespace": namespace },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    }))
    .unwrap();
    let volumes =
        json!({ "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }] });
    deploy(&namespace, "database", &volumes);
    let findings = asked(&namespace, &of_target("database"));
    assert!(levels(&findings, "Volumes")[0].1.starts_with("ClaimNotShareable"), "{findings:?}");

    kube.apply(&json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "wall", "namespace": namespace },
        "spec": { "podSelector": {}, "ingress": [] },
    }))
    .unwrap();
    let findings = asked(&namespace, &of_target("shop"));
    assert!(levels(&findings, "NetworkPolicies")[0].1.starts_with("AgentsLetIn"), "{findings:?}");
    let findings = asked(&namespace, &of_target("nobody"));
    assert_eq!(
        levels(&findings, "Target"),
        [(Level::Problem, format!("there is no Deployment nobody in {namespace}").as_str())]
    );
}

#[test]
fn a_preview_stands_for_its_target() {
    let kube = &stage().kube;
    let namespace = kube.namespace("preview", &json!({})).unwrap();
    deploy(&namespace, "shop", &json!({ "initContainers": [{ "name": "migrate", "image": "app:1" }] }));
    let findings = asked(&namespace, &of_target("shop"));
    assert!(levels(&findings, "Clone")[0].1.starts_with("InitContainers"), "{findings:?}");
    // Its spec counts.
    kube.apply(&json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": "redesign", "namespace": namespace },
        "spec": { "image": "app:2", "target": { "kind": "Deployment", "name": "shop" }, "skipInitContainers": true },
    }))
    .unwrap();
    let args = DoctorArgs { preview: Some("redesign".to_owned()), ..DoctorArgs::default() };
    assert_eq!(level(&asked(&namespace, &args), "Clone"), Some(Level::Ok));
}

#[test]
fn who_may_see_nothing_is_told_so() {
    let namespace = stage().cluster.namespace("blind").unwrap();
    deploy(&namespace, "shop", &json!({}));
    let kubeconfig = stage().cluster.kubeconfig_for(&namespace, "default", None).unwrap();
    let findings = asked_as(&kubeconfig, &namespace, &of_target("shop"));
    for code in ["Crds", "Controller", "Lease", "Agents", "Kernel", "Target", "Quota"] {
        let said = levels(&findings, code);
        assert!(
            said.iter().any(|(level, it)| *level == Level::Unknown && it.contains("needs the permission to")),
            "{code}: {said:?}"
        );
        assert_eq!(level(&findings, code), Some(Level::Unknown), "{code}");
    }
    let rights = levels(&findings, "Rights");
    assert!(
        rights
            .iter()
            .any(|(level, it)| *level == Level::Problem && it.contains("may not create previews.byway.dev")),
        "{rights:?}"
    );
    assert!(rights.iter().any(|(_, it)| it.contains("may not get deployments.apps")), "{rights:?}");
}

#[test]
fn what_an_agent_says_of_its_node_is_passed_on() {
    let (kube, node) = (&stage().kube, stage().sim.node(0));
    let namespace = kube.namespace("nodes", &json!({})).unwrap();
    assert_eq!(level(&asked(&namespace, &DoctorArgs::default()), "Agents"), Some(Level::Ok));
    kube.apply(&json!({ "apiVersion": "byway.dev/v1alpha1", "kind": "NodeRoutes", "metadata": { "name": node }, "spec": { "table": "{}" } }))
        .unwrap();
    let failure = json!({ "reason": "NoBtf", "message": "use a kernel that has it" });
    kube.merge_status("NodeRoutes", "", node, &json!({ "status": { "failure": failure } })).unwrap();
    let told = eventually(PATIENCE, || {
        let findings = asked(&namespace, &DoctorArgs::default());
        levels(&findings, "KernelFeatures")
            .iter()
            .any(|(level, it)| *level == Level::Problem && it.contains("NoBtf"))
            .then_some(())
    });
    assert!(told.is_some());
}
