//! Every object that is rendered, shown to a real API server.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::LazyLock;

use byway_tests::Cluster;

use crate::helm::{NAMESPACE, helm, template, value_files};

/// Values with which the chart is installed on the cluster that tests of this file and of `limits` share.
const LIMITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/limits.yaml");

/// A control plane with the chart, and namespaces with and without limits.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
        let cluster = Cluster::builder().start().unwrap();
        for namespace in
            [NAMESPACE, "open", "closed", "production", "staging", "sandbox", "counted", "changing"]
        {
            cluster.ask(["create", "namespace", namespace]).unwrap();
            cluster
                .ask(["label", "namespace", namespace, "previews=yes", &format!("tier={namespace}")])
                .unwrap();
        }
        cluster.ask(["label", "namespace", "closed", "previews-"]).unwrap();
        cluster.apply(MONITORS).unwrap();
        cluster
            .ask([
                "wait",
                "--for=condition=Established",
                "crd/podmonitors.monitoring.coreos.com",
                "--timeout=30s",
            ])
            .unwrap();
        helm(&cluster, &["install", "byway", crate::helm::CHART, "-n", NAMESPACE, "-f", LIMITS]).unwrap();
        cluster
    });
    &CLUSTER
}

#[test]
fn the_api_server_takes_every_object_as_it_is() {
    for file in value_files() {
        let text = template(&["-f", file.to_str().unwrap()]).unwrap();
        let mut kubectl = cluster().kubectl();
        kubectl.args([
            "apply",
            "--dry-run=server",
            "--server-side",
            "--force-conflicts",
            "--validate=strict",
            "-f",
            "-",
        ]);
        let mut child =
            kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let [said, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{}: {err}", file.display());
        let objects = text.matches("\nkind: ").count();
        assert_eq!(said.lines().count(), objects, "{said}");
    }
}

#[test]
fn the_api_server_finds_no_fault_in_the_policies() {
    let get = ["get", "validatingadmissionpolicies", "-o"];
    let path = "jsonpath={range .items[*]}{.metadata.name} {.status.observedGeneration} {.status.typeChecking}{\"\\n\"}{end}";
    let checked = || {
        let said = cluster().ask([&get[..], &[path]].concat()).unwrap();
        let ours: Vec<String> = said.lines().map(str::to_owned).collect();
        (ours.len() == 3 && ours.iter().all(|line| line.contains(" 1 "))).then_some(ours)
    };
    let checked =
        byway_tests::eventually(std::time::Duration::from_secs(30), checked).expect("they are checked");
    for name in ["limits.previews", "noderoutes-status", "previews"] {
        assert!(checked.contains(&format!("{name}.byway.dev 1 {{}}")), "{checked:#?}");
    }
}

/// The kind of the Prometheus operator, without its schema.
const MONITORS: &str = r#"{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": { "name": "podmonitors.monitoring.coreos.com", "annotations": { "api-approved.kubernetes.io": "unapproved" } },
  "spec": {
    "group": "monitoring.coreos.com", "scope": "Namespaced", "names": { "kind": "PodMonitor", "plural": "podmonitors" },
    "versions": [{
      "name": "v1", "served": true, "storage": true,
      "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } }
    }]
  }
}"#;
