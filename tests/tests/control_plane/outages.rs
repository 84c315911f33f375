//! The API server is away: nothing is lost, and nothing is taken away.

use std::thread::sleep;
use std::time::Duration;

use byway_sim::{ApiProxy, Controller, Kill};
use byway_tests::eventually;
use serde_json::{Value, json};

use crate::leaders::{picture, settled};
use crate::stage::{PATIENCE, Space, Stage, is_true, phase};

fn ready<'a>(stage: &'a Stage, name: &str) -> Space<'a> {
    let space = stage.space(name);
    space.deployment("app", 2);
    for name in ["pr-1", "pr-2"] {
        space.preview(name, json!({ "ttl": "never" }));
        space.wait_ready(name);
    }
    space
}

/// Generations rise with every change of a spec, so these tell whether routes were ever taken away.
fn generations(space: &Space<'_>) -> Vec<Value> {
    let all = space.kube().list("NodeRoutes", "", "").unwrap();
    all.iter().map(|it| json!([it["metadata"]["uid"], it["metadata"]["generation"]])).collect()
}

#[test]
fn an_api_server_that_freezes_or_restarts_costs_no_route() {
    let stage = Stage::new(2);
    let controller = Controller::builder(stage.cluster.kubeconfig()).lead().unwrap();
    let space = ready(&stage, "outage");
    let (before, routes) = (settled(&space), generations(&space));
    let api_server = stage.cluster.api_server().unwrap();

    api_server.freeze().unwrap();
    sleep(Duration::from_secs(5));
    api_server.thaw().unwrap();
    assert_eq!(settled(&space), before);

    api_server.kill();
    sleep(Duration::from_secs(2));
    api_server.restart().unwrap();
    let works = || {
        space.try_preview("pr-3").ok()?;
        space.get("Preview", "pr-3").filter(|it| phase(it) == "Ready").map(drop)
    };
    assert!(eventually(2 * PATIENCE, works).is_some(), "it goes on by itself:\n{}", controller.log());
    space.delete("Preview", "pr-3");
    space.wait_no_routes("pr-3");
    let after = settled(&space);
    let of_old = |all: &[Value]| -> Vec<Value> {
        all.iter()
            .filter(|it| !it["metadata"]["name"].as_str().unwrap_or("pr-3").contains("pr-3"))
            .cloned()
            .collect()
    };
    assert_eq!(of_old(&after), of_old(&before));
    // Another route has come and gone meanwhile, and nothing else.
    for (old, new) in routes.iter().zip(generations(&space)) {
        assert_eq!(old[0], new[0], "no object was made anew");
    }
    assert!(controller.leads());
}

/// With a lease that is shorter than the outage the leader ends, as it must, and the next one takes nothing away.
#[test]
fn a_leader_that_cannot_confirm_its_lease_ends() {
    let stage = Stage::new(2);
    let (proxy, mut a) = stage.watched("a");
    assert!(eventually(PATIENCE, || a.leads().then_some(())).is_some());
    let space = ready(&stage, "lease");
    let (before, routes) = (settled(&space), generations(&space));
    proxy.freeze(true);
    assert!(!a.wait_end(Duration::from_secs(10)).unwrap().success());
    assert!(
        a.log().contains("the lease could not be confirmed before its end: is the API server there?"),
        "{}",
        a.log()
    );
    let (proxy, b) = stage.watched("b");
    assert!(eventually(PATIENCE, || b.leads().then_some(())).is_some());
    sleep(Duration::from_secs(2));
    assert_eq!(picture(&space), before);
    assert_eq!(generations(&space), routes);
    let writes: Vec<_> = proxy.writes().iter().map(ToString::to_string).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

/// Both believe that a led last. It has something to do meanwhile, too: a Preview expires.
#[test]
fn a_frozen_api_server_does_not_leave_two_leaders() {
    let stage = Stage::new(2);
    let (proxy_a, mut a) = stage.watched("a");
    assert!(eventually(PATIENCE, || a.leads().then_some(())).is_some());
    let (proxy_b, b) = stage.watched("b");
    let space = ready(&stage, "two");
    let before = settled(&space);
    space.preview("pr-2", json!({ "ttl": "60s", "renewedAt": ago(54) }));
    let api_server = stage.cluster.api_server().unwrap();
    api_server.freeze().unwrap();
    let frozen = std::time::Instant::now();
    let end = a.wait_end(Duration::from_secs(10)).unwrap();
    assert!(!end.success() && !b.leads(), "{}", a.log());
    sleep(Duration::from_secs(9).saturating_sub(frozen.elapsed()));
    assert!(proxy_b.writes().is_empty(), "{:?}", proxy_b.writes());
    api_server.thaw().unwrap();
    assert!(eventually(PATIENCE, || b.leads().then_some(())).is_some(), "{}", b.log());
    let led_since = std::time::Instant::now();
    space.wait("pr-2", "expired", |it| phase(it) == "Expired");
    space.wait_no_routes("pr-2");
    let late: Vec<_> = proxy_a.writes().into_iter().filter(|it| it.at > led_since).collect();
    assert!(late.is_empty(), "a wrote after b led: {late:?}");
    let of_first = |all: &[Value]| -> Vec<Value> {
        let is = |it: &&Value| it["metadata"]["name"].as_str().is_some_and(|it| it.contains("pr-1"));
        all.iter().filter(is).cloned().collect()
    };
    assert_eq!(of_first(&settled(&space)), of_first(&before), "the one that goes on is as it was");
}

#[test]
fn connections_that_break_lose_nothing() {
    goes_on("broken", ApiProxy::drop_connections);
}

/// The API server keeps what has happened for five minutes; who has been away for longer has to list again.
#[test]
fn watches_that_expire_lose_nothing() {
    goes_on("expired", ApiProxy::expire_watches);
}

/// While `trouble` comes again and again.
fn goes_on(name: &str, trouble: impl Fn(&ApiProxy)) {
    let stage = Stage::new(2);
    // The lease outlasts the trouble, in which it may not be renewed.
    let proxy = ApiProxy::start(&stage.kube).unwrap();
    let controller = Controller::builder(proxy.kubeconfig()).identity("a").lease(30).start().unwrap();
    assert!(eventually(PATIENCE, || controller.leads().then_some(())).is_some());
    let space = ready(&stage, name);
    let routes = generations(&space);
    for n in 0..10 {
        space.preview("pr-2", json!({ "ttl": "never", "image": format!("app:{n}") }));
        sleep(Duration::from_millis(150));
        trouble(&proxy);
    }
    space.wait_ready("pr-2");
    let image = || {
        let child = space.get("Preview", "pr-2")?["status"]["deployment"].as_str()?.to_owned();
        let image =
            space.get("Deployment", &child)?["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        (image == "app:9").then_some(())
    };
    assert!(eventually(PATIENCE, image).is_some());
    assert!(is_true(&space.get("Preview", "pr-1").unwrap(), "Ready"));
    assert_eq!(generations(&space).len(), routes.len());
    assert!(controller.leads());
    // A watch whose connection breaks between two events goes on where it was, which is no error of it.
    let errors = controller.metric("byway_controller_watch_errors_total", "").unwrap();
    let log = controller.log();
    assert!(errors > 0.0 || log.contains("unexpected EOF"), "no watch felt anything of it: {log}");
}

/// What there is in the end, but for names, times and addresses.
fn end_state(space: &Space<'_>) -> Value {
    let preview = space.wait_ready("pr-1");
    settled(space);
    let preview = space.get("Preview", "pr-1").unwrap_or(preview);
    let uid = preview["metadata"]["uid"].as_str().unwrap();
    let deployments = space.list("Deployment", "byway.dev/preview");
    assert_eq!(deployments.len(), 1, "one clone");
    assert_eq!(deployments[0]["metadata"]["name"], byway_api::names::child_name("pr-1", uid));
    assert_eq!(preview["status"]["key"], byway_api::names::generated_key("pr-1", uid).to_string(), "one key");
    let sets = space.list("ReplicaSet", "byway.dev/preview");
    let pods = space.wait_pods("byway.dev/preview", 1);
    let conditions = preview["status"]["conditions"].as_array().unwrap().iter();
    let conditions: Vec<_> =
        conditions.map(|it| json!([it["type"], it["status"], it["reason"], it["message"]])).collect();
    let routes = space.routes("pr-1");
    let targets: usize = routes.iter().map(|it| it.targets.len()).sum();
    let backends: Vec<_> = routes.iter().map(|it| it.entry["backends"].as_array().unwrap().len()).collect();
    json!({
        "phase": preview["status"]["phase"], "routes": preview["status"]["routes"], "ports": preview["status"]["ports"],
        "conditions": conditions, "targets": targets, "backends": backends, "sets": sets.len(), "pods": pods.len(),
        "generation": deployments[0]["metadata"]["generation"],
    })
}

fn ago(seconds: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds)).to_string()
}

/// What there is of one that has expired.
fn end_state_of_expired(space: &Space<'_>) -> Value {
    let preview = space.wait("pr-1", "expired", |it| phase(it) == "Expired");
    let uid = preview["metadata"]["uid"].as_str().unwrap();
    space.wait_gone("Deployment", &byway_api::names::child_name("pr-1", uid));
    space.wait_no_routes("pr-1");
    settled(space);
    let preview = space.get("Preview", "pr-1").unwrap();
    let conditions = preview["status"]["conditions"].as_array().unwrap().iter();
    conditions.map(|it| json!([it["type"], it["status"], it["reason"]])).collect()
}

/// A part of a Preview's life, with the controller killed at writes of it, and another one that goes on.
#[derive(Clone, Copy)]
struct Life<'a> {
    stage: &'a Stage,
    before: &'a dyn Fn(&Space<'_>),
    part: &'a dyn Fn(&Space<'_>),
    end_state: &'a dyn Fn(&Space<'_>) -> Value,
}

impl Life<'_> {
    /// The end, and how many writes of the first controller led there.
    fn run(&self, kill: Option<Kill>) -> (Value, usize) {
        let stage = self.stage;
        let space = stage.space("kill");
        space.deployment("app", 2);
        space.wait_pods("app=app", 2);
        let (proxy, mut a) = stage.watched("a");
        assert!(eventually(PATIENCE, || a.leads().then_some(())).is_some());
        (self.before)(&space);
        proxy.reset();
        if let Some(kill) = kill {
            proxy.kill_at(kill, a.pid());
        }
        (self.part)(&space);
        let mut heir = None;
        if kill.is_some() {
            let ended = eventually(Duration::from_secs(8), || a.ended().unwrap());
            // Writes may be fewer than in the first run: what comes together is written together.
            if ended.is_some() {
                stage.kube.delete("Lease", "byway", "byway-controller").unwrap();
                heir = Some(stage.watched("b"));
            }
        }
        let state = (self.end_state)(&space);
        let writes = proxy.writes().len();
        if let Some((_, heir)) = &mut heir {
            heir.sigkill();
        }
        a.sigkill();
        stage.kube.delete("Lease", "byway", "byway-controller").unwrap();
        space.delete("Preview", "pr-1");
        (state, writes)
    }
}

/// A Preview from its creation to Ready, with the controller killed at each of its writes, before and after the API server
/// has taken it, and another one that goes on: in the end all is as if nothing had happened.
#[test]
fn a_controller_that_is_killed_at_any_write_leaves_nothing_undone_or_doubled() {
    let stage = Stage::new(2);
    let part = |space: &Space<'_>| drop(space.preview("pr-1", json!({ "key": null, "ttl": "never" })));
    let life = Life { stage: &stage, before: &|_| {}, part: &part, end_state: &end_state };
    let (wanted, writes) = life.run(None);
    assert!((4..40).contains(&writes), "{writes} writes");
    for n in 1..=writes {
        for kill in [Kill::Before(n), Kill::After(n)] {
            assert_eq!(life.run(Some(kill)).0, wanted, "killed {kill:?}");
        }
    }
}

/// The same of another image, and of the end. By turns before and after a write: each run takes some seconds.
#[test]
fn a_controller_that_is_killed_at_a_write_of_a_change_or_of_the_end_leaves_nothing_undone() {
    let stage = Stage::new(2);
    let before = |space: &Space<'_>| {
        space.preview("pr-1", json!({ "key": null, "ttl": "never" }));
        space.wait_ready("pr-1");
        settled(space);
    };
    let change = |space: &Space<'_>| {
        drop(space.preview("pr-1", json!({ "key": null, "ttl": "never", "image": "app:newer" })));
    };
    let end = |space: &Space<'_>| {
        drop(space.preview("pr-1", json!({ "key": null, "ttl": "60s", "renewedAt": ago(61) })));
    };
    let changes = Life { stage: &stage, before: &before, part: &change, end_state: &end_state };
    let ends = Life { part: &end, end_state: &end_state_of_expired, ..changes };
    for life in [changes, ends] {
        let (wanted, writes) = life.run(None);
        assert!((3..40).contains(&writes), "{writes} writes");
        for n in 1..=writes {
            let kill = if n % 2 == 0 { Kill::Before(n) } else { Kill::After(n) };
            assert_eq!(life.run(Some(kill)).0, wanted, "killed {kill:?}");
        }
    }
}
