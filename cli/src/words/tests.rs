use serde_json::json;

use super::*;

fn preview(status: serde_json::Value) -> Preview {
    let object = json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
        "metadata": { "name": "a", "namespace": "demo", "uid": "1" },
        "spec": { "image": "app:2", "target": { "kind": "StatefulSet", "name": "app", "container": "web" } },
        "status": status,
    });
    serde_json::from_value(object).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_state_is_told_as_users_of_mirrord_know_it() {
    let now = at("2030-01-01T00:00:00Z");
    let is = |status: serde_json::Value| state(&preview(status), now);
    let ends = "2030-01-01T00:42:30Z";
    assert_eq!(is(json!({ "phase": "Ready", "expiresAt": ends })), "running (42m remaining)");
    assert_eq!(is(json!({ "phase": "Ready" })), "running (infinite)");
    assert_eq!(is(json!({ "phase": "Degraded", "expiresAt": ends })), "degraded (42m remaining)");
    assert_eq!(is(json!({ "phase": "Ready", "expiresAt": "2030-01-01T00:00:00Z" })), "expired");
    assert_eq!(is(json!({ "phase": "Expired" })), "expired");
    assert_eq!(is(json!({ "phase": "Failed", "expiresAt": ends })), "failed");
    assert_eq!(is(json!({})), "initializing");
    let ready = |reason: &str| {
        let time = "2030-01-01T00:00:00Z";
        json!([{ "type": "Ready", "status": "False", "reason": reason, "message": "why", "lastTransitionTime": time }])
    };
    assert_eq!(is(json!({ "phase": "Pending", "conditions": ready("Updating") })), "initializing");
    assert_eq!(is(json!({ "phase": "Pending", "conditions": ready("NoAgent") })), "waiting");
    assert_eq!(message(&preview(json!({ "conditions": ready("NoAgent") }))), "why");
}

#[test]
fn time_is_rounded_down_to_what_matters() {
    let shown = |minutes| left(SignedDuration::from_mins(minutes));
    let all = [0, 1, 59, 60, 61, 1439, 1440, 1500, 43_200].map(shown);
    assert_eq!(all, ["<1m", "1m", "59m", "1h", "1h1m", "23h59m", "1d", "1d1h", "30d"]);
    assert_eq!(left(SignedDuration::from_secs(-5)), "<1m");
}

#[test]
fn a_target_is_written_as_it_is_read() {
    let text = target_of(&preview(json!({})));
    assert_eq!(text, "statefulset/app/container/web");
    assert_eq!(crate::args::target(&text).ok(), preview(json!({})).spec.target);
}

#[test]
fn the_key_that_will_be_generated_is_known_at_once() {
    assert_eq!(key_of(&preview(json!({}))), Some(names::generated_key("a", "1")));
    assert_eq!(key_of(&preview(json!({ "key": "other" }))).unwrap().as_str(), "other");
}

#[test]
fn a_state_makes_a_sentence() {
    for (state, sentence) in [
        ("failed", "has failed"),
        ("expired", "has expired"),
        ("stopping", "is stopping"),
        ("waiting", "is waiting"),
        ("initializing", "is initializing"),
        ("running (42m remaining)", "is running (42m remaining)"),
        ("degraded (infinite)", "is degraded (infinite)"),
    ] {
        assert_eq!(is(state), sentence);
    }
}

#[test]
fn one_is_not_several() {
    assert_eq!(
        (count(1_u64, "pod"), count(0_usize, "pod"), count(2_usize, "pod")),
        ("1 pod".into(), "0 pods".into(), "2 pods".into())
    );
}
