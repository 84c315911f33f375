//! The chart on real nodes, from its installation to its end.

mod rights;
mod site;

use std::fs;
use std::time::{Duration, Instant};

use byway_tests::{Loaded, eventually, needs_root};
use serde_json::{Value, json};

use crate::helm::NAMESPACE;
use site::{DEMO, SOON, Site};

/// One test: nodes, images and an installation take half a minute to come up.
#[test]
fn from_install_to_uninstall() {
    if needs_root() {
        return;
    }
    let site = Site::open();
    step("the notes say what to do next", || notes(&site));
    step("each capability of the agent is needed", || rights::each_is_needed(&site));
    step("helm test says whether it works", || helm_test(&site));
    step("a preview, and new agents without a gap", || a_preview_and_new_agents(&site));
    step("an uninstall ends Previews, and leaves nothing", || uninstall(&site));
    step("an uninstall needs no controller, and says what holds it up", || {
        uninstall_without_controller(&site);
    });
}

fn step(name: &str, run: impl FnOnce()) {
    let begun = Instant::now();
    eprintln!("· {name} ...");
    run();
    eprintln!("✓ {name} ({:.1} s)", begun.elapsed().as_secs_f64());
}

fn notes(site: &Site) {
    // Without controllers, so that nobody but the next step makes routes.
    let said = site.install(&["controller.replicas=0"]);
    let label = format!("kubectl label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=privileged");
    for part in ["helm test byway -n byway", "kind: Preview", &label, "must have been loaded there"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    site.cluster
        .ask(["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=privileged"])
        .unwrap();
}

fn helm_test(site: &Site) {
    // What it says while something is wrong.
    let said = site.check(1).unwrap_err();
    assert!(said.contains("0 of 0 controllers are available"), "{said}");
    assert!(!said.contains("agents are ready"), "{said}");
    let said = site.upgrade(&["controller.replicas=2"]);
    assert!(!said.contains("pod-security.kubernetes.io"), "the namespace has its label: {said}");
    let said = site.helm(&["test", "byway", "-n", NAMESPACE, "--timeout", "90s", "--logs"]);
    let said = said.unwrap_or_else(|e| panic!("{e}\n{}", site.describe()));
    assert!(said.contains("every agent is ready"), "{said}");
}

fn a_preview_and_new_agents(site: &Site) {
    site.preview("redesign");
    site.wait_ready("redesign");
    assert_eq!(site.get(Some("pr-42")), "PREVIEW");
    assert_eq!(site.get(None), "STABLE");
    let [node0, node1] = [0, 1].map(|n| site.cluster.node(n).name());
    for node in [node0, node1] {
        assert!(!Loaded::on(node).programs.is_empty(), "{node} steers");
    }
    let generation = site.agents(".metadata.generation");
    site.start_upgrade(&["agent.log=debug"]);
    assert_ne!(site.agents(".metadata.generation"), generation);
    let updated = eventually(Duration::from_secs(90), || {
        let ready = site.nodes_with_a_ready_agent();
        assert!(ready.len() == 2, "only {ready:?} had an agent for a moment");
        let counts = site.agents(".status.updatedNumberScheduled") + &site.agents(".status.numberReady");
        let seen = site.agents(".status.observedGeneration") == site.agents(".metadata.generation");
        (seen && counts == "22" && site.agent_pods() == 2).then_some(())
    });
    assert!(updated.is_some(), "{}", site.describe());
    site.wait_ready("redesign");
    assert_eq!(site.get(Some("pr-42")), "PREVIEW");
}

fn uninstall(site: &Site) {
    let nodes: Vec<_> = site.cluster.nodes().iter().map(byway_tests::Node::name).collect();
    let before: Vec<Loaded> = nodes.iter().map(|node| Loaded::on(node)).collect();
    assert!(before.iter().all(|loaded| !loaded.is_empty()));
    let said = site.helm(&["uninstall", "byway", "-n", NAMESPACE]);
    said.unwrap_or_else(|e| panic!("{e}\n{}", site.describe()));
    assert_eq!(site.get(Some("pr-42")), "STABLE");
    site.nothing_is_left();
    for (node, before) in nodes.iter().zip(&before) {
        let left = || before.left();
        assert!(eventually(SOON, || left().is_empty().then_some(())).is_some(), "{node}: {:?}", left());
        assert!(Loaded::on(node).is_empty());
    }
    assert!(!site.is_listened_for(), "a listener of the agent is left in a pod");
    // CRDs are what is left on purpose.
    assert_eq!(site.cluster.ask(["get", "crds", "-o", "name"]).unwrap().lines().count(), 2);
}

fn uninstall_without_controller(site: &Site) {
    site.install_without_waiting(&["controller.args={--no-such-flag}", "uninstall.timeout=10"]);
    site.preview("orphan");
    let get = ["get", "preview", "orphan", "-n", DEMO, "-o", "jsonpath={.metadata.uid}"];
    let uid = site.cluster.ask(get).unwrap();
    // What a controller made of it before it broke.
    let owner =
        json!({ "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "name": "orphan", "uid": uid });
    let mut clone: Value = serde_json::from_str(
        &site.cluster.ask(["get", "deployment", "app", "-n", DEMO, "-o", "json"]).unwrap(),
    )
    .unwrap();
    clone["metadata"] = json!({
        "name": "byway-orphan-1", "namespace": DEMO, "labels": { "byway.dev/preview": "orphan" }, "ownerReferences": [owner],
    });
    site.cluster.apply(&clone.to_string()).unwrap();
    let routes = byway_tests::node_routes("a-node", None, &json!({}));
    site.cluster.apply(&routes.to_string()).unwrap();
    // Held by somebody.
    let hold = |finalizers: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#);
        site.cluster.ask(["patch", "preview", "orphan", "-n", DEMO, "--type=merge", "-p", &patch]).unwrap();
    };
    hold(r#"["example.com/hold"]"#);
    // What a `helm test` has left that failed.
    let check = [
        "run",
        "byway-check",
        "-n",
        NAMESPACE,
        "--image=localhost/none",
        "--labels=app.kubernetes.io/name=byway",
    ];
    site.cluster.ask(check).unwrap();
    // Helm 4 waits as long as it may for a Job that has failed.
    let uninstall = ["uninstall", "byway", "-n", NAMESPACE, "--timeout", "25s"];
    let said = site.helm(&uninstall).expect_err("a Preview is held");
    assert!(said.contains("Preview demo/orphan: waits for its finalizers (example.com/hold)"), "{said}");
    hold("null");
    site.helm(&["uninstall", "byway", "-n", NAMESPACE])
        .unwrap_or_else(|e| panic!("{e}\n{}", site.describe()));
    site.nothing_is_left();
}

/// The kernel's version, as two numbers.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.trim().parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
