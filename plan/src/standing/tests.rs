use byway_api::{NodeRoutesSpec, PreviewRequests, PreviewStatus, RequestCounts};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::table::Change;
use crate::testing::{NAMESPACE, acknowledge, at, deployment, name, preview, put, world};
use crate::update::Update;

fn is(world: &World, of: &str, seconds: i64) -> Is {
    standings(world, at(seconds)).into_iter().find(|it| it.name == name(of)).unwrap().is
}

#[test]
fn the_oldest_comes_first_and_of_one_age_the_uid_decides() {
    let mut world = world();
    for (of, seconds) in [("b", 5), ("c", 0), ("a", 5)] {
        preview(&mut world, of, seconds, json!({ "key": of }));
    }
    let order: Vec<String> = standings(&world, at(10)).iter().map(|it| it.name.name.to_string()).collect();
    assert_eq!(order, ["c", "a", "b"]);
}

#[test]
fn it_ends_a_ttl_after_it_was_renewed_or_created() {
    let mut world = world();
    preview(&mut world, "created", 0, json!({ "key": "a", "ttl": "90s" }));
    let renewed = json!({ "key": "b", "ttl": "90s", "renewedAt": at(60).to_string() });
    preview(&mut world, "renewed", 0, renewed);
    preview(&mut world, "endless", 0, json!({ "key": "c", "ttl": "never" }));
    assert_eq!(is(&world, "created", 89), Is::Live);
    assert_eq!(is(&world, "created", 90), Is::Expired(at(90)));
    assert_eq!(is(&world, "renewed", 149), Is::Live);
    assert_eq!(is(&world, "renewed", 150), Is::Expired(at(150)));
    assert_eq!(is(&world, "endless", 100 * 365 * 86_400), Is::Live);
}

#[test]
fn a_renewal_in_the_future_counts_once_its_time_has_come() {
    let mut world = world();
    let renewed = json!({ "key": "b", "ttl": "90s", "renewedAt": at(3600).to_string() });
    preview(&mut world, "pr", 0, renewed);
    assert_eq!(is(&world, "pr", 90), Is::Expired(at(90)));
    assert_eq!(is(&world, "pr", 3299), Is::Expired(at(90)));
    assert_eq!(is(&world, "pr", 3300), Is::Live, "clocks may differ");
    assert_eq!(is(&world, "pr", 3690), Is::Expired(at(3690)));
}

#[test]
fn it_ends_when_no_request_has_come_for_its_idle_ttl() {
    let mut world = world();
    preview(&mut world, "pr", 0, json!({ "key": "a", "ttl": "1h", "idleTtl": "10m" }));
    assert_eq!(is(&world, "pr", 599), Is::Live);
    assert_eq!(is(&world, "pr", 600), Is::Idle(at(600)));
    // The last request counts, whichever node it came to, and what its status says of nodes that are silent now.
    let requests = |world: &mut World, node: &str, last: i64| {
        acknowledge(
            world,
            node,
            &NodeRoutesSpec { table: "{}".into(), ..NodeRoutesSpec::default() },
            |status| {
                status.requests.push(PreviewRequests {
                    preview: format!("{NAMESPACE}/pr"),
                    counts: RequestCounts { requests: 2, ..RequestCounts::default() },
                    last_request_time: Some(at(last)),
                });
            },
        );
    };
    requests(&mut world, "a", 500);
    requests(&mut world, "b", 400);
    assert_eq!(is(&world, "pr", 1099), Is::Live);
    assert_eq!(is(&world, "pr", 1100), Is::Idle(at(1100)));
    let standing = standings(&world, at(600)).remove(0);
    assert_eq!((standing.traffic.counts.requests, standing.traffic.last), (4, Some(at(500))));
    assert_eq!((standing.expires_at, standing.end()), (Some(at(3600)), Some(at(1100))));
    // Never beyond the ttl, and after a renewal it has all of it again.
    requests(&mut world, "a", 3500);
    assert_eq!(is(&world, "pr", 3600), Is::Expired(at(3600)));
    let renewed = json!({ "key": "a", "ttl": "1h", "idleTtl": "10m", "renewedAt": at(4000).to_string() });
    preview(&mut world, "pr", 0, renewed);
    assert_eq!(is(&world, "pr", 4599), Is::Live);
    assert_eq!(is(&world, "pr", 4600), Is::Idle(at(4600)));
}

#[test]
fn counts_of_requests_never_fall() {
    let mut world = world();
    let mut object = preview(&mut world, "pr", 0, json!({ "key": "a" }));
    let written = PreviewStatus {
        traffic: RequestCounts { requests: 7, by_origin: 1, ..RequestCounts::default() },
        last_request_time: Some(Time(at(5))),
        ..PreviewStatus::default()
    };
    Arc::make_mut(&mut object).status = Some(written);
    world.apply(Update::Preview(Change::Now(name("pr"), Some(object))));
    acknowledge(
        &mut world,
        "a",
        &NodeRoutesSpec { table: "{}".into(), ..NodeRoutesSpec::default() },
        |status| {
            status.requests.push(PreviewRequests {
                preview: format!("{NAMESPACE}/pr"),
                counts: RequestCounts { requests: 3, unreachable: 2, ..RequestCounts::default() },
                last_request_time: Some(at(9)),
            });
        },
    );
    let traffic = standings(&world, at(10)).remove(0).traffic;
    let counts = RequestCounts { requests: 7, unreachable: 2, by_origin: 1, ..RequestCounts::default() };
    assert_eq!(traffic, Traffic { counts, last: Some(at(9)) });
}

#[test]
fn the_older_one_holds_a_key_and_target() {
    let mut world = world();
    preview(&mut world, "newer", 5, json!({}));
    preview(&mut world, "older", 0, json!({}));
    preview(&mut world, "newest", 9, json!({}));
    assert_eq!(is(&world, "older", 10), Is::Live);
    for of in ["newer", "newest"] {
        assert_eq!(is(&world, of, 10), Is::InConflict(name("older")));
    }
}

#[test]
fn another_key_target_kind_or_namespace_is_no_conflict() {
    let mut world = world();
    deployment(&mut world, "other");
    preview(&mut world, "a", 0, json!({}));
    preview(&mut world, "b", 1, json!({ "key": "K" }));
    preview(&mut world, "c", 2, json!({ "key": "k2" }));
    preview(&mut world, "d", 3, json!({ "target": { "kind": "Deployment", "name": "other" } }));
    preview(&mut world, "e", 4, json!({ "target": { "kind": "StatefulSet", "name": "app" } }));
    let mut elsewhere = (*preview(&mut world, "f", 5, json!({}))).clone();
    world.apply(Update::Preview(Change::Now(name("f"), None)));
    elsewhere.metadata.namespace = Some("elsewhere".to_owned());
    put(&mut world, elsewhere);
    assert!(standings(&world, at(10)).iter().all(Standing::is_live));
}

#[test]
fn the_container_makes_no_other_target() {
    let mut world = world();
    preview(&mut world, "a", 0, json!({}));
    let with_container = json!({ "kind": "Deployment", "name": "app", "container": "app" });
    preview(&mut world, "b", 1, json!({ "target": with_container }));
    assert_eq!(is(&world, "b", 10), Is::InConflict(name("a")));
}

#[test]
fn without_a_target_there_is_no_conflict() {
    let mut world = world();
    for of in ["a", "b"] {
        preview(&mut world, of, 0, json!({ "target": null, "incoming": { "ports": [80] } }));
    }
    assert!(standings(&world, at(10)).iter().all(Standing::is_live));
}

#[test]
fn who_has_ended_or_is_leaving_holds_nothing() {
    let mut world = world();
    preview(&mut world, "ended", 0, json!({ "ttl": "60s" }));
    let leaving = preview(&mut world, "leaving", 1, json!({}));
    preview(&mut world, "next", 2, json!({}));
    assert_eq!(is(&world, "next", 10), Is::InConflict(name("ended")));
    assert_eq!(is(&world, "next", 60), Is::InConflict(name("leaving")));
    let mut leaving = (*leaving).clone();
    leaving.metadata.deletion_timestamp = leaving.metadata.creation_timestamp.clone();
    put(&mut world, leaving);
    assert_eq!(is(&world, "leaving", 60), Is::Leaving);
    assert_eq!(is(&world, "next", 60), Is::Live);
}

#[test]
fn a_key_that_nobody_names_follows_from_the_object() {
    let mut world = world();
    preview(&mut world, "a", 0, json!({ "key": null }));
    let key = standings(&world, at(1))[0].key.to_string();
    assert_eq!(key, byway_api::names::generated_key("a", "uid-a").to_string());
    assert_eq!(standings(&world, at(99))[0].key.to_string(), key);
    assert_eq!(&*standings(&world, at(1))[0].name.namespace, NAMESPACE);
}

#[test]
fn it_sleeps_when_no_request_has_come_and_a_request_wakes_it() {
    let mut world = world();
    preview(&mut world, "pr", 0, json!({ "key": "a", "ttl": "never", "idle": { "sleepAfter": "10m" } }));
    let sleeper = json!({ "key": "b", "ttl": "never", "idle": { "sleepAfter": "30s", "startAsleep": true } });
    preview(&mut world, "sleeper", 0, sleeper);
    preview(&mut world, "off", 0, json!({ "key": "c", "ttl": "never", "replicas": 0, "idle": {} }));
    let asleep = |world: &World, of: &str, seconds: i64| {
        standings(world, at(seconds)).into_iter().find(|it| it.name == name(of)).unwrap().is_asleep
    };
    // Of the last minute and a half nothing is known yet.
    assert!(!asleep(&world, "pr", 689) && asleep(&world, "pr", 690));
    assert!(asleep(&world, "sleeper", 0) && !asleep(&world, "off", 99_999));
    let spec = NodeRoutesSpec { table: "{}".into(), ..NodeRoutesSpec::default() };
    acknowledge(&mut world, "a", &spec, |status| {
        status.requests = ["pr", "sleeper"]
            .map(|of| PreviewRequests {
                preview: format!("{NAMESPACE}/{of}"),
                counts: RequestCounts { requests: 1, ..RequestCounts::default() },
                last_request_time: Some(at(1000)),
            })
            .to_vec();
    });
    assert!(!asleep(&world, "pr", 1689) && asleep(&world, "pr", 1690));
    assert!(!asleep(&world, "sleeper", 1119) && asleep(&world, "sleeper", 1120));
}
