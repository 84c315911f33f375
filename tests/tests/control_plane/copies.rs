//! A preview that is shown copies: what agents are told of it, and what is said of it.

use byway_api::{Mirrored, PreviewRequests, RequestCounts};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::stage::{condition, on_nodes, own_nodes, shared, workload};

#[test]
fn it_needs_no_key_and_its_copies_are_counted() {
    let (space, nodes) = (shared().space("copies"), own_nodes(1));
    space.apply(on_nodes(workload("Deployment", "app", 1), nodes));
    space.wait_pods("app=app", 1);
    let path = json!({ "path": { "prefix": "/search" } });
    space.preview("pr-1", json!({ "incoming": { "mode": "mirror", "sample": 20, "match": path } }));
    let ready = space.wait_ready("pr-1");
    let said = |type_: &str| condition(&ready, type_)["message"].as_str().unwrap().to_owned();
    assert_eq!(said("Ready"), "the app answers, and the preview is shown copies");
    assert!(said("RoutesProgrammed").starts_with("what comes to every ready pod of the target is copied"));
    let route = space.routes("pr-1").remove(0).entry;
    assert_eq!((&route["copiesPercent"], &route["match"]), (&json!(20), &path));

    let counts = Mirrored { sent: 7, dropped: 2, status_differs: 1 };
    let word = PreviewRequests {
        preview: format!("{}/pr-1", space.name),
        counts: RequestCounts { mirrored: counts, ..RequestCounts::default() },
        last_request_time: Timestamp::from_second(Timestamp::now().as_second()).ok(),
    };
    shared().sim.agent(&nodes[0], |agent| agent.requests = vec![word.clone()]);
    let told = space.wait("pr-1", "counted", |it| it["status"]["traffic"]["mirrored"]["sent"] == 7);
    let expected = json!({ "mirrored": { "sent": 7, "dropped": 2, "statusDiffers": 1 } });
    assert_eq!(told["status"]["traffic"], expected);

    // It takes requests from now on.
    space.preview("pr-1", json!({}));
    space.wait("pr-1", "steered", |_| {
        space.routes("pr-1").iter().all(|it| it.entry["copiesPercent"] == Value::Null)
    });
    let ready = space.wait_ready("pr-1");
    assert_eq!(condition(&ready, "Ready")["message"], "requests with the key reach the preview");
}
