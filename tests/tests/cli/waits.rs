//! What `start` does while a preview is not ready, and when it never will be.

use byway_sim::{Does, Pods};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::command::{begin, call};
use crate::stage::{Space, shared};

/// A namespace with the Deployment `app`, where pods of the image `NAME:1` behave so.
fn space(name: &str, does: Does) -> Space<'static> {
    let space = shared().space(name);
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);
    space.stage.sim.pods(Pods::of_image(&format!("{name}:1")).of_namespace(&space.name), does);
    space
}

fn steps(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|it| it["event"].as_str()).filter(|it| *it != "waiting").collect()
}

#[test]
fn one_that_fails_says_why_and_what_to_do() {
    let space = space("pull", Does::ImagePullFails);
    let out = call(&space, &["start", "mine", "-t", "deployment/app", "-i", "pull:1"]).exits(6);
    let out =
        out.says(&["✓ preview", "error: 0 of 1 pods are ready", "what to do: check the name of the image"]);
    assert_eq!(out.stdout, "", "no result");
    assert!(space.get("Preview", "mine").is_some(), "it stays, to be looked at");
}

#[test]
fn one_that_is_late_says_what_it_waits_for() {
    let space = space("late", Does::IsNotReady);
    let out = call(&space, &["start", "-t", "deployment/app", "-i", "late:1", "--timeout", "3s"]).exits(5);
    out.says(&[
        "error: not ready after 3s: 0 of 1 pods are ready; waiting for their containers",
        "what to do: wait;",
    ]);
}

#[test]
fn a_target_that_is_not_there_is_not_waited_for_long() {
    let space = space("nowhere", Does::IsNotReady);
    let out = call(&space, &["start", "mine", "-t", "deployment/nobody", "-i", "app:2"]).exits(6);
    out.says(&["error: there is no Deployment nobody", "what to do: create the target"]);
    assert!(space.get("Preview", "mine").is_some(), "it stays, since the target may come");

    // It comes a moment later.
    let call = begin(&space, &["start", "soon", "-t", "deployment/later", "-i", "app:2", "-k", "nw-2"]);
    call.wait_says("there is no Deployment later");
    space.deployment("later", 1);
    call.end().exits(0);
}

#[test]
fn programs_get_an_event_per_line() {
    let space = space("events", Does::CrashLoops);
    let out =
        call(&space, &["start", "good", "-t", "deployment/app", "-i", "app:2", "-k", "ev-1", "-o", "json"])
            .exits(0);
    let events = out.events();
    assert_eq!(steps(&events), ["loaded", "connected", "created", "cloned", "podsReady", "routed", "ready"]);
    let ready = events.last().unwrap();
    assert_eq!(
        (&ready["name"], &ready["namespace"], &ready["key"]),
        (&json!("good"), &json!(space.name), &json!("ev-1"))
    );
    assert_eq!(ready["headers"], json!(["baggage: byway-key=ev-1"]));
    assert_eq!((&ready["phase"], &ready["routes"]["wanted"]), (&json!("Ready"), &json!(1)));
    assert!(ready["expiresAt"].is_string() && ready["time"].is_string());
    assert_eq!(out.stderr, "");

    let out =
        call(&space, &["start", "bad", "-t", "deployment/app", "-i", "events:1", "-o", "json"]).exits(6);
    let events = out.events();
    let failed = events.last().unwrap();
    assert_eq!(
        (&failed["event"], &failed["reason"], &failed["exit"]),
        (&json!("failed"), &json!("CrashLoop"), &json!(6))
    );
    let logs = format!("kubectl preview logs bad -n {} --previous", space.name);
    assert!(failed["fix"].as_str().unwrap().contains(&logs), "{failed}");
    let waiting = events.iter().find(|it| it["event"] == "waiting" && it["reason"] == "CrashLoop").unwrap();
    assert_eq!(waiting["name"], "bad");

    let out = call(&space, &["start", "-i", "x", "-o", "json"]).exits(3);
    assert_eq!((steps(&out.events()), &out.events()[0]["reason"]), (vec!["failed"], &json!("Invalid")));
}

#[test]
fn interrupted_it_leaves_the_preview_and_says_how_to_go_on() {
    let space = space("ctrl-c", Does::IsNotReady);
    let call = begin(&space, &["start", "mine", "-t", "deployment/app", "-i", "ctrl-c:1"]);
    call.wait_says("waiting for their containers");
    call.signal(Signal::SIGINT);
    let place = format!("mine -n {}", space.name);
    call.end().exits(130).says(&[
        "interrupted; the preview",
        "stays",
        &format!("kubectl preview stop {place}"),
    ]);
    assert!(space.get("Preview", "mine").is_some());
}

#[test]
fn one_that_is_deleted_meanwhile_is_not_waited_for() {
    let space = space("deleted", Does::IsNotReady);
    let call = begin(&space, &["start", "mine", "-t", "deployment/app", "-i", "deleted:1"]);
    call.wait_says("waiting for their containers");
    space.delete("Preview", "mine");
    call.end().exits(7).says(&["error: Preview mine was deleted while it was waited for"]);
}
