//! A control plane alone, which needs no root.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use byway_tests::{Cluster, eventually};

/// Everything in one test: a control plane takes seconds to come up.
#[test]
fn a_control_plane_can_be_used_and_disturbed_and_leaves_nothing() {
    let cluster = Cluster::builder().simulated_nodes().start().unwrap();
    assert!(cluster.is_ours());
    let namespace = cluster.namespace("demo").unwrap();
    let object = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, namespace: {namespace}}}, data: {{key: value}}}}"
    );
    cluster.apply(&object).unwrap();
    let read = || cluster.ask(["get", "configmap", "a", "-n", &namespace, "-o", "jsonpath={.data.key}"]);
    assert_eq!(read().unwrap(), "value");

    let who = who_is_a_pod(&cluster, &namespace);
    assert!(who.contains(&format!("system:serviceaccount:{namespace}:default")), "{who}");
    assert!(who.contains("authentication.kubernetes.io/pod-uid"), "{who}");

    let borrowed = Cluster::from_kubeconfig(cluster.kubeconfig()).unwrap();
    let theirs = borrowed.namespace("theirs").unwrap();
    assert!(!borrowed.is_ours() && borrowed.api_server().is_err());
    drop(borrowed);
    let phase =
        cluster.ask(["get", "namespace", &theirs, "--ignore-not-found", "-o", "jsonpath={.status.phase}"]);
    assert!(matches!(phase.unwrap().as_str(), "" | "Terminating"), "what is made in it does not stay");

    let api_server = cluster.api_server().unwrap();
    let answers = || cluster.ask(["get", "--raw", "/livez", "--request-timeout=500ms"]).is_ok();
    api_server.freeze().unwrap();
    assert!(!answers(), "it is frozen");
    api_server.thaw().unwrap();
    assert!(eventually(Duration::from_secs(20), || answers().then_some(())).is_some(), "it is thawed");
    api_server.kill();
    assert!(!answers() && api_server.freeze().is_err(), "it is killed");
    api_server.restart().unwrap();
    assert_eq!(read().unwrap(), "value", "what was written is still there");

    let server = cluster.ask(["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]).unwrap();
    let address = server.strip_prefix("https://").unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let folder = cluster.logs().unwrap().parent().unwrap().to_path_buf();
    let mentions = || {
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
        lines.filter(|line| line.contains(folder.to_str().unwrap())).count()
    };
    assert_eq!(mentions(), 4);
    drop(cluster);
    assert!(!folder.exists() && mentions() == 0);
    assert!(TcpStream::connect(address).is_err());
}

/// What the API server takes a bearer of a pod's token for.
fn who_is_a_pod(cluster: &Cluster, namespace: &str) -> String {
    let pod = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: a, namespace: {namespace}}}, \
         spec: {{nodeName: nowhere, containers: [{{name: a, image: a}}]}}}}"
    );
    cluster.apply(&pod).unwrap();
    let uid = cluster.ask(["get", "pod", "a", "-n", namespace, "-o", "jsonpath={.metadata.uid}"]).unwrap();
    let bound = cluster.kubeconfig_for(namespace, "default", Some(("a", &uid))).unwrap();
    let asked = cluster.kubectl().args(["auth", "whoami"]).env("KUBECONFIG", bound).output().unwrap();
    String::from_utf8(asked.stdout).unwrap()
}
