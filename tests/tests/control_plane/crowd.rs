//! Many at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use byway_sim::{ApiProxy, Controller};
use byway_tests::eventually;
use serde_json::json;

use crate::stage::{PATIENCE, Stage};

const PREVIEWS: usize = 500;
/// Each with two pods, on twenty nodes.
const TARGETS: usize = 25;

#[test]
fn many_previews_at_once_all_become_ready_with_few_writes() {
    let stage = Stage::new(20);
    let proxy = ApiProxy::start(&stage.kube).unwrap();
    let controller = Controller::builder(proxy.kubeconfig()).lead().unwrap();
    let space = stage.space("crowd");
    (0..TARGETS).for_each(|n| drop(space.deployment(&format!("app-{n}"), 2)));
    space.wait_pods("", 2 * TARGETS);
    proxy.reset();
    let begun = Instant::now();
    for n in 0..PREVIEWS {
        let target = json!({ "kind": "Deployment", "name": format!("app-{}", n % TARGETS) });
        space.preview(&format!("pr-{n}"), json!({ "ttl": "never", "target": target }));
    }
    // Asking the API server for all of them again and again would be most of its work.
    let all_ready = || {
        std::thread::sleep(Duration::from_millis(200));
        let ready = controller.metric("byway_controller_previews", "phase=\"Ready\"").ok()?;
        (ready == PREVIEWS as f64).then_some(())
    };
    let patience = Duration::from_secs(420);
    assert!(eventually(patience, all_ready).is_some(), "not all are ready:\n{}", controller.log());
    let took = begun.elapsed();
    // Whatever is left comes now.
    std::thread::sleep(Duration::from_secs(2));
    assert!(space.list("Preview", "").iter().all(|it| crate::stage::phase(it) == "Ready"));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for write in proxy.writes() {
        *counts.entry(format!("{} {}", write.method, write.resource)).or_default() += 1;
    }
    eprintln!("{PREVIEWS} previews were ready after {took:?}; the controller wrote {counts:?}");
    let count = |what: &str| counts.get(what).copied().unwrap_or_default();
    assert_eq!(count("PATCH deployments"), PREVIEWS, "each clone once: {counts:?}");
    assert_eq!(count("PATCH pods/status"), PREVIEWS, "each gate once: {counts:?}");
    // The slower all is, the more of the steps are seen one by one.
    assert!(count("PATCH previews/status") <= 8 * PREVIEWS, "{counts:?}");
    // On each of both nodes: the route, the address of its pod for the environment, and the pod as one to send to. What comes
    // together is written together, which a quick API server leaves little of.
    assert!(count("PATCH noderoutes") <= 6 * PREVIEWS, "{counts:?}");
    assert!(count("POST events") + count("PATCH events") <= 4 * PREVIEWS, "{counts:?}");

    proxy.reset();
    std::thread::sleep(Duration::from_secs(3));
    let writes: Vec<_> = proxy.writes().iter().map(ToString::to_string).collect();
    assert!(writes.is_empty(), "nothing happens, and it writes {writes:?}");
}

/// A CRD that is newer than the controller may take what the controller cannot read.
#[test]
fn one_preview_that_cannot_be_read_blinds_nobody() {
    let stage = Stage::new(1);
    let mut crd = stage.kube.get("CustomResourceDefinition", "", "previews.byway.dev").unwrap().unwrap();
    let kinds =
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/target/properties/kind/enum";
    crd.pointer_mut(kinds).unwrap().as_array_mut().unwrap().push(json!("CronJob"));
    crd.as_object_mut().unwrap().remove("status");
    crd["metadata"] = json!({ "name": "previews.byway.dev" });
    stage.kube.apply(&crd).unwrap();
    let space = stage.space("unreadable");
    space.deployment("app", 1);
    let newer = json!({ "target": { "kind": "CronJob", "name": "app" } });
    let apply = || space.try_apply(crate::stage::preview("newer", newer.clone())).ok();
    assert!(eventually(PATIENCE, apply).is_some(), "the API server takes it after a moment");
    let controller = stage.controller();
    space.preview("pr-1", json!({}));
    space.wait_ready("pr-1");
    let log = controller.log();
    assert!(log.contains("a Preview cannot be read; is this controller older than its CRD?"), "{log}");
    space.preview("pr-2", json!({}));
    space.wait_ready("pr-2");
    // What was readable and is no more does not stop the others either.
    space.delete("Preview", "newer");
    space.preview("pr-1", json!({ "image": "app:newer" }));
    space.wait_ready("pr-1");
}
