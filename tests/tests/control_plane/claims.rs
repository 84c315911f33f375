//! Who has a key, and for how long: conflicts and expiry.

use byway_sim::Controller;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stage::{Stage, condition, is_true, phase, preview, shared};

#[test]
fn of_two_with_one_key_and_target_the_older_one_holds() {
    let space = shared().space("conflict");
    space.deployment("app", 1);
    space.preview("older", json!({ "key": "change-7" }));
    space.wait_ready("older");
    // Ages are whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    space.preview("newer", json!({ "key": "change-7" }));
    let said = space.wait_condition("newer", "Ready", "False", "Conflict");
    let wanted = format!(
        "{}/older is older and has the same key and target: change that one, delete it, or make a Preview with another key",
        space.name
    );
    assert_eq!(said, wanted);
    let newer = space.get("Preview", "newer").unwrap();
    assert_eq!(phase(&newer), "Failed");
    for type_ in ["TargetResolved", "PodsReady", "RoutesProgrammed"] {
        assert_eq!(condition(&newer, type_)["reason"], "Conflict");
    }
    assert!(space.list("Deployment", "byway.dev/preview=newer").is_empty());
    assert!(space.routes("newer").is_empty());
    assert!(is_true(&space.get("Preview", "older").unwrap(), "Ready"));

    // The same key for another target is no conflict, and another key for this target neither.
    space.deployment("other", 1);
    let other = json!({ "kind": "Deployment", "name": "other" });
    space.preview("elsewhere", json!({ "key": "change-7", "target": other }));
    space.preview("besides", json!({ "key": "change-77" }));
    space.wait_ready("elsewhere");
    space.wait_ready("besides");

    space.delete("Preview", "older");
    space.wait_ready("newer");
}

#[test]
fn an_expired_holder_makes_room() {
    let space = shared().space("expired-holder");
    space.deployment("app", 1);
    space.preview("older", json!({ "key": "k", "ttl": "60s" }));
    space.wait_ready("older");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    space.preview("newer", json!({ "key": "k" }));
    space.wait_condition("newer", "Ready", "False", "Conflict");
    space.merge("Preview", "older", json!({ "spec": { "renewedAt": ago(120) } }));
    space.wait_ready("newer");
    assert_eq!(phase(&space.wait("older", "expired", |it| phase(it) == "Expired")), "Expired");
}

#[test]
fn what_expires_is_kept_and_can_be_revived() {
    let space = shared().space("expiry");
    space.deployment("app", 1);
    space.preview("pr-1", json!({ "ttl": "60s", "renewedAt": ago(50) }));
    let ready = space.wait_ready("pr-1");
    let (child, at) = (ready["status"]["deployment"].clone(), ready["status"]["expiresAt"].clone());
    let expired = space.wait("pr-1", "expired", |it| phase(it) == "Expired");
    let said = condition(&expired, "Ready")["message"].as_str().unwrap();
    let at = at.as_str().unwrap();
    assert_eq!(said, format!("it ended at {at}; set spec.renewedAt to now to revive it"));
    for type_ in ["TargetResolved", "PodsReady", "RoutesProgrammed", "Ready"] {
        assert_eq!(condition(&expired, type_)["reason"], "Expired");
    }
    assert!(at.parse::<Timestamp>().unwrap() <= Timestamp::now(), "not before its time");
    assert!(expired["status"].get("timeLeft").is_none());
    space.wait_no_routes("pr-1");
    space.wait_gone("Deployment", child.as_str().unwrap());
    assert!(space.get("Preview", "pr-1").is_some());

    space.merge("Preview", "pr-1", json!({ "spec": { "renewedAt": ago(0) } }));
    let revived = space.wait_ready("pr-1");
    assert_eq!(revived["status"]["deployment"], child);
    assert!(!space.routes("pr-1").is_empty());
}

#[test]
fn what_had_ended_before_it_was_made_is_kept_and_says_so() {
    let space = shared().space("long-ago");
    let old = json!({ "ttl": "60s", "renewedAt": ago(2 * 86_400), "target": { "kind": "Pod", "name": "x" } });
    let mut tracked = preview("tracked", old.clone());
    let mark = json!({ "argocd.argoproj.io/tracking-id": "app:byway.dev/Preview:x/tracked" });
    tracked["metadata"]["annotations"] = mark;
    space.apply(tracked);
    space.preview("forgotten", old);
    let mut recent = preview("recent", json!({ "ttl": "60s", "renewedAt": ago(120) }));
    recent["spec"]["target"] = json!({ "kind": "Pod", "name": "x" });
    space.apply(recent);
    space.wait("forgotten", "expired", |it| phase(it) == "Expired");
    space.wait("tracked", "expired", |it| phase(it) == "Expired");
    space.wait("recent", "expired", |it| phase(it) == "Expired");
}

#[test]
fn what_has_expired_goes_after_a_while_unless_a_tool_would_make_it_again() {
    let stage = Stage::new(1);
    let controller =
        Controller::builder(stage.cluster.kubeconfig()).args(["--keep-expired", "3"]).lead().unwrap();
    let space = stage.space("removed");
    let old = json!({ "ttl": "60s", "renewedAt": ago(120) });
    let mut tracked = preview("tracked", old.clone());
    tracked["metadata"]["labels"] = json!({ "kustomize.toolkit.fluxcd.io/name": "apps" });
    space.apply(tracked);
    space.preview("forgotten", old);
    space.preview("alive", json!({ "key": "alive" }));
    space.wait("forgotten", "expired", |it| phase(it) == "Expired");
    space.wait_gone("Preview", "forgotten");
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(phase(&space.get("Preview", "tracked").unwrap()), "Expired");
    assert!(space.get("Preview", "alive").is_some(), "{}", controller.log());
}

#[test]
fn never_ends_never() {
    let space = shared().space("never");
    space.deployment("app", 1);
    space.preview("pr-1", json!({ "ttl": "never", "renewedAt": ago(900 * 86_400) }));
    let preview = space.wait_ready("pr-1");
    assert!(preview["status"].get("expiresAt").is_none());
    assert_eq!(preview["status"]["timeLeft"], "never");
    assert!(space.routes("pr-1")[0].entry.get("expiresAt").is_none());
}

fn ago(seconds: i64) -> Value {
    let then = Timestamp::now() - SignedDuration::from_secs(seconds);
    json!(then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
