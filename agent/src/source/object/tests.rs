//! Events as servers send them in good times and bad.

use kube::{api::DynamicObject, runtime::watcher::Event};
use serde_json::{Value, json};

use super::{super::Change, Follower, read};

fn object(uid: &str, generation: i64, version: u64, table: &Value) -> DynamicObject {
    named("node-1", uid, generation, version, table)
}

fn named(name: &str, uid: &str, generation: i64, version: u64, table: &Value) -> DynamicObject {
    let spec = json!({ "table": table.to_string() });
    let object = json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "NodeRoutes",
        "metadata": { "name": name, "uid": uid, "generation": generation, "resourceVersion": version.to_string() },
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn keyed(key: &str) -> Value {
    json!({ "previews": [{ "name": "a/b", "revision": "1", "key": key }] })
}

/// What an event comes to: the key of a document's preview, or a word.
fn says(follower: &mut Follower, event: Event<DynamicObject>) -> String {
    match follower.take(event) {
        None => "nothing".to_owned(),
        Some(Ok(Change::Seen)) => "seen".to_owned(),
        Some(Err(error)) => format!("bad: {error}"),
        Some(Ok(Change::Document(document))) => {
            document.spec.previews.first().map_or("empty".to_owned(), |p| p.key.clone())
        }
    }
}

#[test]
fn an_object_through_its_life() {
    let follower = &mut Follower::new("node-1");
    assert_eq!(says(follower, Event::Init), "nothing");
    assert_eq!(says(follower, Event::InitDone), "empty", "the API has said that there is none");
    assert_eq!(says(follower, Event::Apply(object("u", 1, 10, &keyed("k1")))), "k1");
    assert_eq!(says(follower, Event::Apply(object("u", 1, 11, &keyed("k1")))), "seen", "our own status");
    assert_eq!(says(follower, Event::Apply(object("u", 2, 12, &keyed("k2")))), "k2");
    assert_eq!(follower.object().unwrap().generation, Some(2));
    assert_eq!(says(follower, Event::Delete(object("u", 2, 13, &keyed("k2")))), "empty");
    assert_eq!(follower.object(), None);
    assert_eq!(says(follower, Event::Delete(object("u", 2, 13, &keyed("k2")))), "nothing");
    assert_eq!(says(follower, Event::Apply(object("v", 1, 14, &keyed("k3")))), "k3", "made anew");
}

#[test]
fn what_is_stale_or_of_others_is_passed_over() {
    let follower = &mut Follower::new("node-1");
    says(follower, Event::Init);
    assert_eq!(says(follower, Event::InitApply(object("v", 2, 20, &keyed("k2")))), "k2");
    assert_eq!(says(follower, Event::InitDone), "nothing");
    assert_eq!(says(follower, Event::Apply(object("v", 1, 15, &keyed("k1")))), "nothing");
    assert_eq!(says(follower, Event::Delete(object("u", 7, 14, &keyed("k0")))), "nothing");
    assert_eq!(says(follower, Event::Apply(named("node-2", "w", 1, 30, &keyed("k9")))), "nothing");
    assert_eq!(follower.object().unwrap().generation, Some(2));
    // Listed anew, the same is nothing new; but a server that was set back is right.
    says(follower, Event::Init);
    assert_eq!(says(follower, Event::InitApply(object("v", 2, 20, &keyed("k2")))), "seen");
    says(follower, Event::InitDone);
    says(follower, Event::Init);
    assert_eq!(says(follower, Event::InitApply(object("v", 1, 9, &keyed("k1")))), "k1");
    assert_eq!(says(follower, Event::InitDone), "nothing");
    assert_eq!(follower.object().map(|it| (it.list, it.version)), Some((3, 9)));
    // Gone while nobody watched.
    says(follower, Event::Init);
    assert_eq!(says(follower, Event::InitDone), "empty");
}

#[test]
fn what_cannot_be_read_is_said_once() {
    let follower = &mut Follower::new("node-1");
    let spec = json!({ "previews": "many" });
    assert!(says(follower, Event::Apply(object("u", 1, 1, &spec))).starts_with("bad: "));
    assert_eq!(says(follower, Event::Apply(object("u", 1, 2, &spec))), "seen");
    assert_eq!(says(follower, Event::Apply(object("u", 2, 3, &keyed("k")))), "k");
}

#[test]
fn one_entry_of_a_newer_controller_takes_no_other_down() {
    let spec = json!({
        "agentPodUid": "me",
        "ofTomorrow": 1,
        "previews": [{ "name": "a/b", "revision": "1", "key": "k" }, { "name": "a/c", "revision": "2", "key": "k", "newer": 1 }],
        "targets": [
            { "name": "a/pod-1", "podUid": "u", "ports": [80], "previews": ["a/b"], "newer": 1 },
            { "name": "a/pod-2", "podUid": "u", "ports": [80], "previews": ["a/b"], "unkeyed": "queue" },
        ],
    });
    let document = read(spec.clone()).unwrap();
    assert_eq!(document.spec.previews[1].compile().unwrap_err().code(), "TooNew");
    assert_eq!(document.spec.targets.len(), 1);
    let unreadable = &document.unreadable[0];
    assert_eq!(
        (unreadable.name.as_str(), unreadable.previews.as_slice()),
        ("a/pod-2", &["a/b".to_owned()][..])
    );
    assert_eq!(document.raw, Some(spec));
}
