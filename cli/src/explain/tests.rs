use serde_json::{Value, json};

use super::*;

const TIME: &str = "2030-01-01T00:00:00Z";

fn preview(phase: &str, conditions: &[(&str, &str, &str, &str)]) -> Preview {
    let of = |(type_, status, reason, message): &(&str, &str, &str, &str)| {
        json!({
            "type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 1,
            "lastTransitionTime": TIME,
        })
    };
    let conditions: Vec<Value> = conditions.iter().map(of).collect();
    serde_json::from_value(json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
        "metadata": { "name": "a", "namespace": "demo", "generation": 1 },
        "spec": { "image": "app:2", "key": "pr-1", "target": { "kind": "Deployment", "name": "app" } },
        "status": { "phase": phase, "observedGeneration": 1, "conditions": conditions, "ports": [8080] },
    }))
    .unwrap()
}

fn node(status: &Value) -> NodeRoutes {
    let table = json!({ "targets": [
        { "name": "demo/app-1", "podUid": "1", "ports": [8080], "previews": ["demo/a"] },
        { "name": "demo/other-1", "podUid": "2", "ports": [8080], "previews": ["demo/b"] },
    ] });
    serde_json::from_value(json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "NodeRoutes", "metadata": { "name": "n1" },
        "spec": { "table": table.to_string() },
        "status": status,
    }))
    .unwrap()
}

fn said(preview: &Preview, nodes: &[NodeRoutes]) -> Vec<(Weight, String)> {
    let found = findings(preview, Some(nodes), TIME.parse().unwrap());
    found.into_iter().map(|it| (it.weight, it.reason)).collect()
}

fn reasons(weight: Weight, said: &[(Weight, String)]) -> Vec<&str> {
    said.iter().filter(|(it, _)| *it == weight).map(|(_, reason)| reason.as_str()).collect()
}

#[test]
fn a_ready_preview_leaves_the_request_to_be_checked() {
    let said = said(&preview("Ready", &[("Ready", "True", "Ready", "")]), &[]);
    assert_eq!(
        reasons(Weight::Check, &said),
        ["Traffic", "NotKeyed", "OtherPort", "OldConnection", "NotPropagated"]
    );
    assert_eq!(said.len(), 5);
}

#[test]
fn what_is_broken_comes_first_and_has_a_fix() {
    let broken = preview(
        "Pending",
        &[
            ("Ready", "False", "NoAgent", "no agent"),
            ("PodsReady", "True", "PodsReady", ""),
            ("RoutesProgrammed", "False", "NoAgent", "no agent runs on node n1"),
        ],
    );
    let found = findings(&broken, None, TIME.parse().unwrap());
    assert_eq!((found[0].weight, found[0].reason.as_str()), (Weight::Broken, "NoAgent"));
    assert_eq!(found[0].message, "RoutesProgrammed is False: no agent runs on node n1");
    assert!(found[0].fix.as_ref().unwrap().contains("DaemonSet"));
}

#[test]
fn what_has_ended_needs_no_further_reason() {
    let mut ended = preview(
        "Expired",
        &[("TargetResolved", "False", "Expired", "it ended"), ("Ready", "False", "Expired", "it ended")],
    );
    assert_eq!(reasons(Weight::Broken, &said(&ended, &[])), ["Expired"]);
    ended.status = None;
    assert_eq!(reasons(Weight::Broken, &said(&ended, &[])), ["Pending"]);
}

#[test]
fn several_warnings_are_several_findings() {
    let message = "InitContainers: they run again; TrafficNotMatched: TLS arrives at demo/app-1: no header; unless keyed by origin";
    let warned =
        preview("Ready", &[("Ready", "True", "Ready", ""), ("Warnings", "True", "Several", message)]);
    let found = findings(&warned, None, TIME.parse().unwrap());
    assert_eq!((found[0].weight, found[0].reason.as_str()), (Weight::Some, "TrafficNotMatched"));
    assert_eq!(found[0].message, "TLS arrives at demo/app-1: no header; unless keyed by origin");
    assert!(found.iter().any(|it| it.reason == "InitContainers" && it.message == "they run again"));
}

#[test]
fn what_agents_count_is_told_of_its_own_targets_only() {
    let ready = preview("Ready", &[("Ready", "True", "Ready", "")]);
    let seen = |target: &str| json!({ "targets": [{ "target": target, "tls": 3, "http2": 1, "notListening": [8080, 9090] }] });
    let own = said(&ready, &[node(&seen("demo/app-1"))]);
    assert_eq!(reasons(Weight::Some, &own), ["TrafficNotMatched", "TrafficNotMatched", "NothingListens"]);
    assert_eq!(reasons(Weight::Some, &said(&ready, &[node(&seen("demo/other-1"))])), Vec::<&str>::new());
    let refused =
        json!({ "previews": [{ "name": "demo/a", "refused": { "reason": "TooNew", "message": "update" } }] });
    assert_eq!(reasons(Weight::Broken, &said(&ready, &[node(&refused)])), ["TooNew"]);
    let failed = json!({ "previews": [{ "name": "demo/a", "failures": [{ "target": "demo/app-1", "reason": "AttachFailed", "message": "no" }] }] });
    assert_eq!(reasons(Weight::Some, &said(&ready, &[node(&failed)])), ["AttachFailed"]);
    assert_eq!(reasons(Weight::Some, &said(&ready, &[node(&Value::Null)])), ["Programming"]);
}

#[test]
fn what_has_come_is_told_with_what_became_of_it() {
    let mut it = preview("Ready", &[("Ready", "True", "Ready", "")]);
    let told = |it: &Preview| {
        let found = findings(it, None, TIME.parse().unwrap());
        found.into_iter().find(|it| it.reason == "Traffic").unwrap().message
    };
    assert!(told(&it).starts_with("no request with its key has come yet"));
    let status = it.status.as_mut().unwrap();
    status.traffic =
        serde_json::from_value(json!({ "requests": 7, "unreachable": 2, "overlapped": 1 })).unwrap();
    status.last_request_time = serde_json::from_value(json!(TIME)).unwrap();
    assert_eq!(told(&it), format!("at least 7 requests reached it, the last at {TIME}"));
    assert_eq!(reasons(Weight::Some, &said(&it, &[])), ["Overlapped", "Unreached"]);
    let found = findings(&it, None, TIME.parse().unwrap());
    assert_eq!(found[0].message, "1 request matched it, but went to another preview, which comes first");
    assert_eq!(
        found[1].message,
        "2 requests got the answer 502, since none of its pods could be reached or answered"
    );
    let look = "see `kubectl preview status a -n demo` and `kubectl preview logs a -n demo`";
    assert!(found[1].fix.as_ref().unwrap().starts_with(look));
}

#[test]
fn what_went_to_the_app_is_told_by_reason_and_once() {
    let warned =
        [("Ready", "True", "Ready", ""), ("Warnings", "True", "RequestsLost", "3 requests with the key ...")];
    let mut it = preview("Ready", &warned);
    it.status.as_mut().unwrap().traffic =
        serde_json::from_value(json!({ "requests": 7, "lost": { "BothLengths": 2, "New": 1 } })).unwrap();
    let found = findings(&it, None, TIME.parse().unwrap());
    assert_eq!(reasons(Weight::Some, &said(&it, &[])), ["RequestsLost", "RequestsLost"]);
    let wanted = "2 requests with its key went to the app, since a request on their connection had both Content-Length and \
                  Transfer-Encoding (BothLengths)";
    assert_eq!(found[0].message, wanted);
    assert!(found[0].fix.as_ref().unwrap().contains("send one plain Content-Length"));
    let unknown =
        "1 request with its key went to the app, for a reason that this version does not know (New)";
    assert_eq!((&*found[1].message, found[1].fix.as_deref()), (unknown, Some("upgrade kubectl preview")));
}

#[test]
fn a_match_that_keeps_requests_away_is_told_and_is_a_worry_only_where_none_comes() {
    let mut it = preview("Ready", &[("Ready", "True", "Ready", "")]);
    let mut weighed = |traffic: Value| {
        it.status.as_mut().unwrap().traffic = serde_json::from_value(traffic).unwrap();
        let found = findings(&it, None, TIME.parse().unwrap());
        let narrowed = found.into_iter().find(|it| it.reason == "Narrowed").unwrap();
        assert_eq!(
            narrowed.message,
            "3 requests had its key, but its match asks for another path, method or header"
        );
        narrowed.weight
    };
    assert_eq!(weighed(json!({ "narrowed": 3 })), Weight::Some);
    assert_eq!(weighed(json!({ "narrowed": 3, "requests": 1 })), Weight::Check);
}
