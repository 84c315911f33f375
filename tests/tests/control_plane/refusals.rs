//! What the API server refuses is counted, and tried again for as long as somebody wants it.

use std::thread::sleep;
use std::time::Duration;

use byway_sim::{ApiProxy, Controller};
use byway_tests::eventually;
use serde_json::json;

use crate::stage::{PATIENCE, Stage};

/// A leader behind a proxy.
fn leader(stage: &Stage) -> (ApiProxy, Controller) {
    let proxy = ApiProxy::start(&stage.kube).unwrap();
    let controller = Controller::builder(proxy.kubeconfig()).lead().unwrap();
    (proxy, controller)
}

fn wait_counted(controller: &Controller, name: &str, labels: &str, least: f64) {
    let counted = || (controller.metric(name, labels).ok()? >= least).then_some(());
    assert!(eventually(PATIENCE, counted).is_some(), "{}", controller.get("/metrics").unwrap().text());
}

#[test]
fn what_is_refused_is_counted_and_tried_again_as_it_should_be_by_then() {
    let stage = Stage::new(1);
    let (proxy, controller) = leader(&stage);
    let space = stage.space("refused");
    space.deployment("app", 1);

    proxy.refuse("PATCH /apis/apps/", 500);
    space.preview("pr-1", json!({ "image": "app:1" }));
    let errors = "byway_controller_errors_total";
    wait_counted(&controller, errors, "what=\"clone\",code=\"InternalServerError\"", 2.0);
    space.preview("pr-1", json!({ "image": "app:2" }));
    sleep(Duration::from_secs(1));
    proxy.refuse_nothing();
    let child = space.wait_ready("pr-1")["status"]["deployment"].as_str().unwrap().to_owned();
    let child = space.get("Deployment", &child).unwrap();
    assert_eq!(child["spec"]["template"]["spec"]["containers"][0]["image"], "app:2");
    assert_eq!(child["metadata"]["generation"], 1, "what was wanted before was not written any more");
    wait_counted(&controller, "byway_controller_operations_total", "what=\"clone\"", 3.0);
    wait_counted(&controller, "byway_controller_operation_duration_seconds_count", "what=\"clone\"", 3.0);
    wait_counted(&controller, "byway_controller_reconciles_total", "", 1.0);
    wait_counted(&controller, "byway_controller_reconcile_duration_seconds_count", "", 1.0);

    // Others write the object again and again.
    proxy.refuse("/previews/pr-2/status", 409);
    space.preview("pr-2", json!({}));
    wait_counted(&controller, errors, "what=\"status\",code=\"Conflict\"", 3.0);
    proxy.refuse_nothing();
    space.wait_ready("pr-2");
    assert_eq!(controller.get("/healthz").unwrap().status, 200);
}

/// As in a namespace that is on its way out.
#[test]
fn an_event_that_is_forbidden_is_not_tried_again() {
    let stage = Stage::new(1);
    let (proxy, _controller) = leader(&stage);
    let space = stage.space("forbidden");
    space.deployment("app", 1);
    proxy.refuse("/events", 403);
    space.preview("pr-1", json!({}));
    space.wait_ready("pr-1");
    let of_events = || proxy.writes().iter().filter(|it| it.resource == "events").count();
    let tried = eventually(PATIENCE, || (of_events() > 0).then_some(()));
    assert!(tried.is_some(), "that it is ready is an event");
    sleep(Duration::from_secs(1));
    proxy.reset();
    sleep(Duration::from_secs(4));
    assert_eq!(of_events(), 0);
}

#[test]
fn a_watch_without_a_list_is_named() {
    let stage = Stage::new(1);
    let proxy = ApiProxy::start(&stage.kube).unwrap();
    proxy.refuse("GET /api/v1/nodes", 403);
    let controller = Controller::builder(proxy.kubeconfig()).lead().unwrap();
    let named = || {
        let log = controller.log();
        let mut lines = log.lines().filter(|it| it.contains("there is no list yet"));
        lines.next().map(|it| (it.to_owned(), lines.next().is_none()))
    };
    let (line, is_only) = eventually(2 * PATIENCE, named).expect("it says so after half a minute");
    assert!(line.contains("watch=\"nodes\"") && is_only, "{line}");
    proxy.refuse_nothing();
    let space = stage.space("listed");
    space.deployment("app", 1);
    space.preview("pr-1", json!({}));
    space.wait_ready("pr-1");
}
