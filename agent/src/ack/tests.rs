//! When a write is needed, and what it says.

use byway_api::{Instance, NodeRoutesStatus, RouteStatus};

use super::{Wanted, Written};
use crate::node_routes::Object;

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
    let written = Written { uid: "u".to_owned(), version: 7, status: status("1"), ..Written::default() };
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
fn the_newest_version_is_replaced() {
    let written = Written { uid: "u".to_owned(), version: 7, status: status("1"), ..Written::default() };
    assert_eq!(wanted(5, None, status("2")).version(&written), 7, "ours, whose event is on its way");
    assert_eq!(wanted(9, None, status("2")).version(&written), 9);
    let anew = Wanted {
        object: Object { uid: "v".to_owned(), version: 6, ..Object::default() },
        status: status("1"),
    };
    assert_eq!(anew.version(&written), 6, "another object of that name");
}

#[test]
fn a_server_that_was_set_back_is_written_to() {
    let written = Written { uid: "u".to_owned(), list: 1, version: 91, status: status("1") };
    let mut before = wanted(90, None, status("1"));
    before.object.list = 1;
    assert!(!before.is_news(&written) && before.version(&written) == 91);
    let mut set_back = wanted(50, None, status("1"));
    set_back.object.list = 2;
    assert!(set_back.is_news(&written), "what we wrote is not in the backup");
    assert_eq!(set_back.version(&written), 50);
}
