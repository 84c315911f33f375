//! Several controllers: one works, and the next one takes over without a second hand on anything.

use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_sim::Controller;
use byway_tests::eventually;
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Space, Stage};

fn wait_leads(controller: &Controller) {
    let leads = eventually(PATIENCE, || controller.leads().then_some(()));
    assert!(leads.is_some(), "it does not lead:\n{}", controller.log());
}

/// A target, and a Preview that is ready.
fn ready<'a>(stage: &'a Stage, name: &str) -> Space<'a> {
    let space = stage.space(name);
    space.deployment("app", 2);
    space.preview("pr-1", json!({ "key": null, "ttl": "never" }));
    space.wait_ready("pr-1");
    space
}

/// What may not differ after a change of leaders: the clone, its pods, the routes, and the conditions.
pub(crate) fn picture(space: &Space<'_>) -> Vec<Value> {
    let mut all = space.list("Deployment", "byway.dev/preview");
    all.extend(space.list("Pod", "byway.dev/preview"));
    all.extend(space.list("Preview", ""));
    all.extend(space.routes("pr-1").into_iter().map(|it| it.object["spec"].clone()));
    all
}

/// The picture, once it stays the same for a while.
pub(crate) fn settled(space: &Space<'_>) -> Vec<Value> {
    let still = eventually(PATIENCE, || {
        let before = picture(space);
        sleep(Duration::from_millis(700));
        (picture(space) == before).then_some(before)
    });
    still.expect("it settles")
}

#[test]
fn asked_to_end_a_leader_hands_over_at_once_and_the_next_one_writes_nothing() {
    let stage = Stage::new(2);
    let (_proxy, mut a) = stage.watched("a");
    wait_leads(&a);
    let (proxy, b) = stage.watched("b");
    let space = ready(&stage, "handover");
    let before = settled(&space);
    assert!(!b.leads() && proxy.writes().is_empty(), "one leads");
    assert_eq!(b.get("/readyz").unwrap().status, 200, "who waits is ready");

    let asked = Instant::now();
    assert!(a.stop().unwrap().success());
    wait_leads(&b);
    // The lease is 3 s, and another second has to pass before it is taken from somebody who is silent.
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
    sleep(Duration::from_secs(2));
    let writes: Vec<_> = proxy.writes().iter().map(ToString::to_string).collect();
    assert!(writes.is_empty(), "nothing has changed, and it writes {writes:?}");
    assert_eq!(picture(&space), before);

    // And it works.
    space.preview("pr-2", json!({}));
    space.wait_ready("pr-2");
}

#[test]
fn a_leader_that_is_killed_is_replaced_in_the_middle_of_its_work() {
    let stage = Stage::new(2);
    let (_proxy, mut a) = stage.watched("a");
    wait_leads(&a);
    let (_proxy, b) = stage.watched("b");
    let (_proxy, c) = stage.watched("c");
    let space = ready(&stage, "killed");
    let before = settled(&space);
    let more: Vec<_> = (0..5).map(|n| format!("more-{n}")).collect();
    for name in &more {
        space.preview(name, json!({ "key": null, "image": "app:1" }));
    }
    a.sigkill();
    let led = eventually(PATIENCE, || (b.leads() || c.leads()).then_some(()));
    assert!(led.is_some() && !(b.leads() && c.leads()), "one of them leads");
    for name in &more {
        let preview = space.wait_ready(name);
        let uid = preview["metadata"]["uid"].as_str().unwrap();
        assert_eq!(preview["status"]["key"], byway_api::names::generated_key(name, uid).to_string());
        assert_eq!(space.list("Deployment", &format!("byway.dev/preview={name}")).len(), 1);
    }
    let of_first = |all: &[Value]| -> Vec<Value> {
        all.iter()
            .filter(|it| it["metadata"]["name"].as_str().is_some_and(|it| it.contains("pr-1")))
            .cloned()
            .collect()
    };
    assert_eq!(of_first(&picture(&space)), of_first(&before), "the one that was ready is as it was");
}

#[test]
fn a_leader_that_was_stopped_never_writes_again() {
    let stage = Stage::new(2);
    let (proxy_a, mut a) = stage.watched("a");
    wait_leads(&a);
    let (proxy_b, b) = stage.watched("b");
    let space = ready(&stage, "stopped");
    settled(&space);
    // It has something to do when it goes on.
    for n in 0..5 {
        space.preview(&format!("more-{n}"), json!({}));
    }
    a.sigstop().unwrap();
    wait_leads(&b);
    let led_since = Instant::now();
    for n in 0..5 {
        space.wait_ready(&format!("more-{n}"));
        space.preview(&format!("more-{n}"), json!({ "image": "app:newer" }));
    }
    a.sigcont().unwrap();
    let status = a.wait_end(Duration::from_secs(10)).unwrap();
    assert!(!status.success(), "it says that something was wrong");
    assert!(a.log().contains("lease"), "{}", a.log());
    let late: Vec<_> = proxy_a.writes().into_iter().filter(|it| it.at > led_since).collect();
    assert!(late.is_empty(), "it wrote after another one led: {late:?}");
    for n in 0..5 {
        space.wait_ready(&format!("more-{n}"));
    }
    assert!(b.leads() && !proxy_b.writes().is_empty());
}
