//! The log of containers that really run: on a node with a kubelet, without agents.

use byway_sim::{Controller, Kube};
use byway_tests::{Cluster, eventually, needs_root};
use serde_json::json;

use crate::command::{Call, command};
use crate::stage::PATIENCE;

/// Runs on as the app, and fails as the preview.
const SCRIPT: &str =
    "if [ -n \"$BYWAY_KEY\" ]; then echo begun; echo cannot open the database; exit 3; fi; exec sleep 3600";

#[test]
fn a_start_that_fails_shows_the_last_words_of_the_container() {
    if needs_root() {
        return;
    }
    let cluster = Cluster::builder().nodes(1).start().unwrap();
    let kube = Kube::of(&cluster).unwrap();
    kube.install_crds().unwrap();
    // Of the controller's lease.
    kube.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "byway" } })).unwrap();
    let _controller = Controller::builder(cluster.kubeconfig()).lead().unwrap();
    let container = json!({
        "name": "app", "image": "localhost/busybox:1", "imagePullPolicy": "Never", "command": ["sh", "-c", SCRIPT],
        "ports": [{ "containerPort": 8080 }],
    });
    let labels = json!({ "app": "app" });
    kube.apply(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "app", "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
        },
    }))
    .unwrap();
    let call = |args: &[&str]| {
        let mut command = command(cluster.kubeconfig());
        command.args(args);
        Call::spawn(command)
    };
    let out = call(&["start", "mine", "-t", "deployment/app", "-i", "localhost/busybox:1"]).end().exits(6);
    out.says(&[
        "last lines of byway-mine-",
        "| begun",
        "| cannot open the database",
        "error:",
        "exit code 3",
        "what to do: read why it ends",
    ]);

    // Between two runs there may be no earlier one for a moment.
    let previous = || {
        let out = call(&["logs", "mine", "--previous", "--tail", "1"]).end();
        (out.code == Some(0) && out.stdout == "cannot open the database\n").then_some(())
    };
    assert!(eventually(PATIENCE, previous).is_some());
    call(&["logs", "mine", "-c", "other"])
        .end()
        .exits(7)
        .says(&["no container other of default/mine has begun"]);
    call(&["logs", "nobody"]).end().exits(7);
    // It is followed over restarts.
    let follow = call(&["logs", "mine", "-f"]);
    let count = || follow.stdout().matches("cannot open the database").count();
    assert!(eventually(3 * PATIENCE, || (count() >= 2).then_some(())).is_some(), "{}", follow.stderr());
    follow.signal(nix::sys::signal::Signal::SIGINT);
    follow.end().exits(130);
    call(&["stop", "mine"]).end().exits(0);
}
