//! The commands on previews that are there: status, list, extend, stop, explain, and those that need none.

use std::path::Path;

use byway_tests::{built, eventually};
use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::command::{begin, call, command};
use crate::stage::{PATIENCE, Space, shared};

fn space(name: &str) -> Space<'static> {
    let space = shared().space(name);
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);
    space
}

#[test]
fn status_shows_environments_with_their_pods() {
    let space = space("status");
    let back = json!({ "kind": "Deployment", "name": "back" });
    space.deployment("back", 1);
    space.preview("front", json!({ "key": "st-1", "ttl": "never" }));
    space.preview("back", json!({ "key": "st-1", "target": back }));
    space.preview("other", json!({ "key": "st-22", "target": { "kind": "Deployment", "name": "none" } }));
    space.wait_ready("front");
    space.wait_ready("back");
    space.wait_condition("other", "Ready", "False", "TargetNotFound");
    let out = call(&space, &["status"]).exits(0);
    let lines: Vec<String> =
        out.stdout.lines().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[0], "KEY st-1");
    assert_eq!(lines[1], "NAME TARGET NAMESPACE STATUS MESSAGE");
    assert!(lines[2].starts_with(&format!("back deployment/back {} running (", space.name)), "{lines:?}");
    assert!(
        lines[3].starts_with("pod byway-back-") && lines[3].contains(" ready, routed on node-"),
        "{lines:?}"
    );
    assert_eq!(lines[4], format!("front deployment/app {} running (infinite)", space.name));
    let other = lines.iter().find(|it| it.starts_with("other ")).unwrap();
    assert!(other.contains("waiting there is no Deployment none"), "{other}");
    let one = call(&space, &["status", "-k", "st-22"]).exits(0);
    assert!(!one.stdout.contains("st-1\n"), "{}", one.stdout);
    let all = call(&space, &["list", "--glob", "st-*", "-o", "name"]).exits(0);
    assert_eq!(all.stdout.lines().count(), 3);
    let none = call(&space, &["status", "--glob", "st-2"]).exits(0);
    assert_eq!((none.stdout.as_str(), none.stderr.contains("There is no such preview")), ("", true));
}

#[test]
fn what_is_asked_for_and_not_there_is_a_failure() {
    let space = space("lacking");
    for command in ["status", "list"] {
        assert_eq!(
            call(&space, &[command, "nobody"]).exits(7).says(&["there is no Preview nobody"]).stdout,
            ""
        );
        call(&space, &[command, "-k", "no-key"]).exits(7).says(&["there is no Preview with the key no-key"]);
        call(&space, &[command, "-t", "deployment/app"])
            .exits(7)
            .says(&["there is no Preview of deployment/app"]);
        let none = call(&space, &[command, "nobody", "-o", "json"]).exits(7);
        let list: Value = serde_json::from_str(&none.stdout).unwrap();
        assert_eq!(list["items"], json!([]), "what is printed is valid");
        for may_be_none in [&["--glob", "no-*"][..], &["--failed"], &[]] {
            let args = [&[command], may_be_none].concat();
            assert_eq!(call(&space, &args).exits(0).says(&["There is no such preview"]).stdout, "");
        }
    }
    space.preview("there", json!({ "key": "lk-1" }));
    let out = call(&space, &["list", "there", "nobody", "-o", "name"]).exits(7);
    assert_eq!(out.stdout, "preview.byway.dev/there\n");
    out.says(&["there is no Preview nobody"]);
    // It may come.
    let watch = begin(&space, &["status", "-w", "-k", "lk-2", "-o", "name"]);
    watch.wait_says("There is no such preview");
    space.preview("late", json!({ "key": "lk-2" }));
    let seen = eventually(PATIENCE, || watch.stdout().contains("preview.byway.dev/late").then_some(()));
    assert!(seen.is_some(), "{}", watch.stderr());
    watch.signal(Signal::SIGINT);
    watch.end().exits(130);
}

#[test]
fn list_is_a_table_or_what_programs_read() {
    let space = space("list");
    space.preview("a", json!({ "key": "ls-1" }));
    space.wait_ready("a");
    let out = call(&space, &["list", "-o", "wide"]).exits(0);
    let mut lines = out.stdout.lines();
    let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["NAMESPACE", "NAME", "KEY", "TARGET", "STATUS", "REASON", "PODS", "ROUTES", "IMAGE"]);
    let row = lines.next().unwrap();
    assert!(row.contains("Ready    1/1    1/1      app:preview"), "{row}");
    let out = call(&space, &["list", "-o", "json"]).exits(0);
    let list: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!((&list["kind"], &list["items"][0]["metadata"]["name"]), (&json!("List"), &json!("a")));
    assert_eq!(list["items"][0]["kind"], "Preview");
    assert_eq!(call(&space, &["list", "--failed"]).exits(0).stdout, "");
    let mut everywhere = command(space.stage.cluster.kubeconfig());
    let everywhere = everywhere.args(["list", "-A", "-k", "ls-1"]).output().unwrap();
    assert!(String::from_utf8(everywhere.stdout).unwrap().contains(&space.name));
}

#[test]
fn extend_lengthens_a_life_without_touching_pods_and_revives_what_has_ended() {
    let space = space("extend");
    space.preview("alive", json!({ "key": "ex-1" }));
    let before = space.wait_ready("alive");
    let out =
        call(&space, &["extend", "alive", "--ttl", "5h"]).exits(0).says(&["✓ preview", "alive lives until"]);
    assert!(out.stdout.contains("EXPIRES"), "{}", out.stdout);
    let after =
        space.wait("alive", "longer", |it| it["status"]["expiresAt"] != before["status"]["expiresAt"]);
    let left = |it: &Value| {
        let at: Timestamp = it["status"]["expiresAt"].as_str().unwrap().parse().unwrap();
        at.duration_since(Timestamp::now()).as_mins()
    };
    assert!((298..=300).contains(&left(&after)), "{}", left(&after));
    assert_eq!(after["status"]["pods"], before["status"]["pods"], "its pods are the same");

    let target = json!({ "kind": "Deployment", "name": "app" });
    space.preview("over", json!({ "key": "ex-2", "target": target, "renewedAt": "2020-01-01T00:00:00Z" }));
    space.wait("over", "expired", |it| it["status"]["phase"] == "Expired");
    let shown = call(&space, &["status", "over"]).exits(0);
    assert!(shown.stdout.contains("   expired   it ended at"), "{}", shown.stdout);
    let out = call(&space, &["extend", "-k", "ex-2", "-o", "json"]).exits(0);
    assert_eq!((&out.events()[0]["event"], &out.events()[0]["name"]), (&json!("extended"), &json!("over")));
    space.wait_ready("over");
    call(&space, &["extend", "nobody"]).exits(7).says(&["there is no Preview nobody"]);
    call(&space, &["extend"]).exits(2).says(&["which preview?"]);
}

#[test]
fn stop_ends_what_is_meant_and_waits_until_it_is_gone() {
    let space = space("stop");
    for (name, key) in [("a", "sp-1"), ("b", "sp-12"), ("c", "sp-2"), ("d", "other")] {
        space.preview(name, json!({ "key": key, "target": { "kind": "Deployment", "name": "app" } }));
    }
    space.wait_ready("a");
    let out = call(&space, &["stop", "-k", "sp-1"]).exits(0).says(&["ending", "(key sp-1)", "is gone"]);
    assert_eq!(out.stdout, format!("{}/a\n", space.name));
    assert!(space.list("Pod", "byway.dev/preview=a").is_empty(), "its pods are gone too");
    call(&space, &["stop", "-k", "sp-1"]).exits(0).says(&["nothing to end"]);
    let out = call(&space, &["clean", "--glob", "sp-*", "--no-wait", "-o", "name"]).exits(0);
    assert_eq!(out.stdout, "preview.byway.dev/b\npreview.byway.dev/c\n");
    call(&space, &["stop"]).exits(2).says(&["which preview?"]);
    call(&space, &["stop", "--all"]).exits(2).says(&["--all would end", "say --yes"]);
    assert!(space.get("Preview", "d").is_some());
    let out = call(&space, &["stop", "--all", "--yes", "-o", "json"]).exits(0);
    let of_d: Vec<Value> = out.events().into_iter().filter(|it| it["name"] == "d").collect();
    assert_eq!(
        of_d.iter().map(|it| it["event"].as_str().unwrap()).collect::<Vec<_>>(),
        ["stopping", "stopped"]
    );
    assert!(space.list("Preview", "").is_empty());
}

#[test]
fn explain_goes_from_what_is_broken_to_what_is_to_be_checked() {
    let space = space("explain");
    space.preview("good", json!({ "key": "ep-1" }));
    space.preview("bad", json!({ "key": "ep-2", "target": { "kind": "Deployment", "name": "none" } }));
    space.wait_ready("good");
    let (node, target) = {
        let routed = space.routes("good").remove(0);
        (routed.object["metadata"]["name"].as_str().unwrap().to_owned(), routed.targets[0]["name"].clone())
    };
    let seen = json!([{ "target": target, "tls": 3 }]);
    let told = eventually(PATIENCE, || {
        // The simulated agent writes its status anew now and then.
        space.kube().merge_status("NodeRoutes", "", &node, &json!({ "status": { "targets": seen } })).ok()?;
        let out = call(&space, &["explain", "good", "-o", "json"]).exits(0);
        let explained: Value = serde_json::from_str(&out.stdout).unwrap();
        let findings = explained[0]["findings"].as_array()?.clone();
        findings.into_iter().find(|it| it["reason"] == "TrafficNotMatched")
    });
    let told = told.expect("TLS is told");
    assert!(told["fix"].as_str().unwrap().contains("TLS"), "{told}");
    let out = call(&space, &["explain", "-k", "ep-2"]).exits(0);
    let broken = out
        .stdout
        .find("Requests do not reach it, because:\n- TargetResolved is False: there is no Deployment none");
    let check = out.stdout.find("What to check if a request does not reach it:");
    assert!(broken.is_some() && broken < check, "{}", out.stdout);
    call(&space, &["explain", "nobody"]).exits(7);
}

#[test]
fn some_commands_need_no_preview() {
    let space = shared().space("none");
    let script = call(&space, &["completion", "bash"]).exits(0).stdout;
    assert!(script.contains("kubectl-preview"), "{script}");
    let version = call(&space, &["version", "--client"]).exits(0).stdout;
    assert_eq!(version, format!("kubectl-preview {}\n", env!("CARGO_PKG_VERSION")));
    // As kubectl finds it.
    let binary = built("kubectl-preview");
    let mut kubectl = space.stage.cluster.kubectl();
    let by_kubectl = kubectl.args(["preview", "version", "--client"]).env("PATH", binary.parent().unwrap());
    assert_eq!(String::from_utf8(by_kubectl.output().unwrap().stdout).unwrap(), version);
    let version = call(&space, &["version", "-o", "json"]).exits(0).stdout;
    let version: Value = serde_json::from_str(&version).unwrap();
    assert!(
        version["unknown"].as_str().unwrap().contains("no controller"),
        "it is not in this cluster: {version}"
    );
}

#[test]
fn files_of_kubeconfig_that_are_not_there_are_passed_over() {
    let files = [Path::new("/nonexistent/config"), shared().cluster.kubeconfig()];
    let list = std::env::join_paths(files).unwrap();
    let out = command(Path::new(&list)).args(["list", "-A"]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
