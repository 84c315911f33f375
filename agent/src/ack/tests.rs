//! When a write is needed, and what it says.

use byway_api::{Failure, Instance, NodeRoutesStatus, RouteStatus};
use serde_json::json;

use super::{Wanted, Written};
use crate::source::Object;

fn status(revision: &str) -> NodeRoutesStatus {
    let preview = RouteStatus {
        name: "a/b".to_owned(),
        revision: Some(revision.to_owned()),
        refused: None,
        failures: vec![],
    };
    let instance =
        Instance { pod_uid: "me".to_owned(), started_at: "2026-01-01T00:00:00.5Z".parse().unwrap() };
    NodeRoutesStatus { previews: vec![preview], instance: Some(instance), ..NodeRoutesStatus::default() }
}

fn wanted(version: u64, server: Option<NodeRoutesStatus>, status: NodeRoutesStatus) -> Wanted {
    Wanted { object: Object { uid: "u".to_owned(), version, status: server, ..Object::default() }, status }
}

#[test]
fn what_the_server_has_is_not_written_again() {
    let nothing = Written::default();
    assert!(wanted(5, None, status("1")).is_news(&nothing));
    assert!(!wanted(5, Some(status("1")), status("1")).is_news(&nothing), "as it was found");
    let written = Written { uid: "u".to_owned(), version: 7, status: status("1") };
    assert!(!wanted(5, None, status("1")).is_news(&written), "an event from before our write");
    assert!(!wanted(7, Some(status("1")), status("1")).is_news(&written), "its echo");
    assert!(wanted(7, Some(status("1")), status("2")).is_news(&written));
    assert!(wanted(8, Some(status("0")), status("1")).is_news(&written), "somebody else wrote");
    let anew = Wanted {
        object: Object { uid: "v".to_owned(), version: 9, ..Object::default() },
        status: status("1"),
    };
    assert!(anew.is_news(&written), "another object of that name");
}

#[test]
fn what_no_longer_holds_is_taken_away() {
    let failure = Failure { reason: "NoBtf".to_owned(), message: "a kernel that has it".to_owned() };
    let failed = NodeRoutesStatus { failure: Some(failure), ..status("1") };
    assert_eq!(wanted(1, None, failed).patch()["status"]["failure"]["reason"], "NoBtf");
    let patch = wanted(1, None, status("1")).patch();
    assert_eq!(patch["metadata"], json!({ "uid": "u" }));
    assert_eq!(patch["status"]["failure"], json!(null));
    assert_eq!(patch["status"]["targets"], json!(null));
    assert_eq!(patch["status"]["requests"], json!(null));
    assert_eq!(patch["status"]["instance"]["startedAt"], "2026-01-01T00:00:00.5Z");
    assert_eq!((&patch["status"]["live"], &patch["status"]["previews"]), (&json!("a/b 1\n"), &json!(null)));
}
