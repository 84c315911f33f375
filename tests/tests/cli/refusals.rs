//! What is refused, by whom, and what is said of it.

use std::path::Path;

use byway_tests::{Cluster, Scratch};
use serde_json::json;

use crate::command::{Call, Out, call, call_with, command};
use crate::stage::shared;

fn with_kubeconfig(kubeconfig: &Path, args: &[&str]) -> Out {
    let mut command = command(kubeconfig);
    command.args(args);
    Call::spawn(command).end()
}

fn file(spec: &str) -> String {
    format!("apiVersion: byway.dev/v1alpha1\nkind: Preview\nmetadata: {{ name: mine }}\nspec: {spec}\n")
}

#[test]
fn what_is_invalid_is_refused_before_anything_is_made() {
    let space = shared().space("invalid");
    let says = |spec: &str, wanted: &str| {
        call_with(&space, &["start", "-f", "-"], &file(spec)).exits(3).says(&["error:", wanted]);
    };
    let target = "target: { kind: Deployment, name: app }";
    says(&format!("{{ imag: a, {target} }}"), "spec.imag: there is no such field: did you mean image?");
    says("{ image: a, targt: { kind: Deployment, name: app } }", "spec.targt: there is no such field");
    says(&format!("{{ image: a, imagePolicy: b, {target} }}"), "spec.imagePolicy: there is no such field");
    says(&format!("{{ image: a, replicas: two, {target} }}"), "spec.replicas");
    says(
        &format!("{{ image: a b, {target} }}"),
        "\"a b\" is not the name of an image: no image has ' ' in its name",
    );
    says(&format!("{{ image: a, {target}, incoming: {{ mode: mirror }} }}"), "mirror is not available yet");
    says(
        &format!("{{ image: a, {target}, incoming: {{ match: {{ path: {{ prefix: /api }} }} }} }}"),
        "every way through a match must name {{ key }}",
    );
    let regex = format!(
        "{{ image: a, {target}, incoming: {{ match: {{ header: {{ name: x, regex: '({{{{ key }}}}' }} }} }} }}"
    );
    says(&regex, "spec.incoming.match: header.regex");
    says("{ image: a }", "--port PORT");
    let usage = |args: &[&str], wanted: &str| drop(call(&space, args).exits(2).says(&[wanted]));
    usage(&["start", "-t", "service/app", "-i", "a"], "no kind of workload that can have a preview");
    usage(&["start", "-t", "deployment/app", "-i", "a", "--ttl", "5s"], "between 60s and 720h");
    usage(&["start", "-t", "deployment/app", "-i", "a", "--replicas", "99"], "0..=20");
    usage(&["list", "--glob", "["], "--glob [");
    call(&space, &["start", "-t", "deployment/app", "-i", "a", "-k", "a b"])
        .exits(3)
        .says(&["only letters, digits"]);
    call(&space, &["start", "-f", "/nonexistent"]).exits(3).says(&["cannot read /nonexistent"]);
    assert!(space.list("Preview", "").is_empty(), "nothing was made");
}

#[test]
fn what_cannot_be_changed_is_not_and_what_conflicts_is_told() {
    let space = shared().space("immutable");
    space.preview("mine", json!({ "key": "im-1" }));
    let start = |name: &str, key: &str| {
        call(&space, &["start", name, "-t", "deployment/app", "-i", "a", "-k", key, "--no-wait"])
    };
    start("mine", "im-2")
        .exits(3)
        .says(&["has the key im-1, which cannot be changed to im-2", "what to do:"]);
    start("other", "im-1").exits(3).says(&["mine has the key im-1 and the target deployment/app already"]);
    assert_eq!(space.list("Preview", "").len(), 1);
}

#[test]
fn who_may_not_is_told_so() {
    let space = shared().space("denied");
    let kubeconfig = space.stage.cluster.kubeconfig_for(&space.name, "default", None).unwrap();
    let n = space.name.as_str();
    for args in [
        &["start", "-n", n, "-t", "deployment/app", "-i", "a"][..],
        &["list", "-n", n],
        &["stop", "-n", n, "mine"],
        &["extend", "-n", n, "mine"],
        &["run", "-n", n, "-t", "deployment/app", "-i", "a", "--", "true"],
    ] {
        let out = with_kubeconfig(&kubeconfig, args).exits(4);
        out.says(&["error:", "previews.byway.dev", "what to do: ask for the role `edit`"]);
    }
    let out =
        with_kubeconfig(&kubeconfig, &["start", "-n", n, "-t", "deployment/app", "-i", "a", "-o", "json"])
            .exits(4);
    assert_eq!(out.events().last().unwrap()["reason"], "NotAllowed");
}

#[test]
fn where_there_is_no_namespace_it_says_so() {
    let kubeconfig = shared().cluster.kubeconfig();
    let out =
        with_kubeconfig(kubeconfig, &["start", "-n", "nowhere", "-t", "deployment/app", "-i", "a"]).exits(7);
    out.says(&["error:", "namespaces \"nowhere\" not found"]);
}

#[test]
fn where_byway_is_not_installed_it_says_how_to() {
    let cluster = Cluster::builder().start().unwrap();
    for args in [
        &["start", "-t", "deployment/app", "-i", "a"][..],
        &["list"],
        &["status", "x"],
        &["stop", "x"],
        &["explain", "x"],
    ] {
        let out = with_kubeconfig(cluster.kubeconfig(), args).exits(9);
        out.says(&["error: Byway is not installed in this cluster", "helm install byway"]);
    }
}

#[test]
fn a_cluster_that_cannot_be_reached_is_not_waited_for() {
    let folder = Scratch::new("kubeconfig").unwrap();
    let kubeconfig = folder.path().join("config");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{ "name": "a", "cluster": { "server": "https://127.0.0.1:1" } }],
        "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
        "users": [{ "name": "a", "user": { "token": "x" } }],
    });
    std::fs::write(&kubeconfig, text.to_string()).unwrap();
    let out = with_kubeconfig(&kubeconfig, &["list"]).exits(8);
    out.says(&["error: the API server cannot be reached", "Connection refused"]);
    with_kubeconfig(&kubeconfig, &["list", "--context", "b"])
        .exits(8)
        .says(&["cannot use the kubeconfig", "b"]);
    for kubeconfig in [kubeconfig.as_path(), Path::new("/nonexistent")] {
        let out = with_kubeconfig(kubeconfig, &["version"]).exits(8);
        assert!(out.stdout.starts_with(&format!("kubectl-preview {}\n", env!("CARGO_PKG_VERSION"))));
        with_kubeconfig(kubeconfig, &["version", "--client"]).exits(0);
    }
    with_kubeconfig(Path::new("/nonexistent"), &["list"])
        .exits(8)
        .says(&["cannot use the kubeconfig", "what to do:"]);
}
