//! The whole chain on real nodes with real pods: a Preview applied with kubectl, and requests that reach it.

mod shop;

use std::time::{Duration, Instant};

use byway_tests::{eventually, needs_root};
use shop::Shop;

const KEY: &str = "pr-42";

/// One test: nodes, images and an installation take half a minute to come up. Each step leaves the shop as it found it.
#[test]
fn from_an_applied_preview_to_its_end() {
    if needs_root() {
        return;
    }
    let shop = Shop::open();
    step("a keyed request reaches the preview, all others the app", || keyed_and_unkeyed(&shop));
    step("two services in one environment: a header on the first hop, the origin on the second", || {
        environment(&shop);
    });
    step("connections that were open before: missed and counted, drained, and steered where armed", || {
        open_before(&shop);
    });
    step("TLS goes to the app, and is said", || tls_is_said(&shop));
    step("a new image under load", || new_image_under_load(&shop));
    step("a new image under load, with agents that hear of it half a second late", || {
        shop.delay_agents(Duration::from_millis(500));
        new_image_under_load(&shop);
        shop.delay_agents(Duration::ZERO);
    });
    step("the target is scaled, rolled and rescheduled", || the_target_changes(&shop));
    step("a pod of the target serves its last requests", || a_target_pod_ends(&shop));
    step("an agent is killed", || an_agent_is_killed(&shop));
    step("a node dies", || a_node_dies(&shop));
    step("a preview ends by the agents alone while no controller runs, and is revived", || expiry(&shop));
    step("nothing of it is left when the Preview is deleted", || the_end(&shop));
}

fn step(name: &str, run: impl FnOnce()) {
    let begun = Instant::now();
    eprintln!("· {name} ...");
    run();
    eprintln!("✓ {name} ({:.1} s)", begun.elapsed().as_secs_f64());
}

fn keyed_and_unkeyed(shop: &Shop) {
    shop.preview("front", KEY, "localhost/shop:v2", "v2");
    shop.wait_ready("front");
    for _ in 0..20 {
        assert_eq!(shop.get("front", Some(KEY)), "front v2");
        assert_eq!(shop.get("front", None), "front v1");
        assert_eq!(shop.get("front", Some("pr-4")), "front v1", "a key that this one begins with");
    }
    let counted = eventually(Duration::from_secs(10), || {
        let counts = "jsonpath={.status.traffic.requests} {.status.lastRequestTime}";
        let shown = shop.ask(&["get", "preview", "front", "-o", counts]);
        let (requests, last) = shown.split_once(' ')?;
        (requests.parse::<u64>().ok()? > 0 && !last.is_empty()).then_some(())
    });
    assert!(counted.is_some(), "{}", shop.describe("front"));
    let shown = shop.ask(&["get", "bwp", "front", "--no-headers"]);
    assert!(shown.contains(KEY) && shown.contains("Ready") && shown.contains("True"), "{shown}");
}

fn environment(shop: &Shop) {
    shop.preview("back", KEY, "localhost/shop:v2", "v2");
    shop.wait_ready("back");
    for scheme in ["http", "https"] {
        // The app passes no header on: what keys the second hop is that it comes from a pod of the environment.
        assert_eq!(shop.call("front", "back", scheme, Some(KEY)), "front v2 called back v2", "{scheme}");
        assert_eq!(shop.call("front", "back", scheme, None), "front v1 called back v1", "{scheme}");
    }
    shop.delete("back");
}

fn open_before(shop: &Shop) {
    let mut pool = shop.pool("back", KEY);
    assert_eq!(pool.ask().unwrap(), "back v1 new");
    shop.preview("back", KEY, "localhost/shop:v2", "v2");
    shop.wait_ready("back");
    assert_eq!(pool.ask().unwrap(), "back v1 kept", "nobody asked for it to be drained");
    let counted = eventually(Duration::from_secs(10), || {
        let warned = shop.warning("back");
        warned.contains("open before the route").then_some(())
    });
    assert!(counted.is_some(), "{}", shop.describe("back"));
    let drain = r#"{"spec":{"incoming":{"existingConnections":"drainIdle"}}}"#;
    shop.ask(&["patch", "preview", "back", "--type=merge", "-p", drain]);
    let drained = eventually(Duration::from_secs(30), || {
        std::thread::sleep(Duration::from_secs(6)); // asked more often, it may not be idle
        let answer = pool.ask().unwrap();
        assert!(["back v1 kept", "back v2 new"].contains(&answer.as_str()), "{answer}");
        (answer == "back v2 new").then_some(())
    });
    assert!(drained.is_some(), "{}", shop.describe("back"));
    shop.delete("back");

    shop.ask(&["annotate", "deployment/back", "byway.dev/armed=true"]);
    let armed = eventually(Duration::from_secs(10), || shop.armed(2).then_some(()));
    assert!(armed.is_some(), "{}", shop.describe("front"));
    let mut pool = shop.pool("back", KEY);
    assert_eq!(pool.ask().unwrap(), "back v1 new");
    shop.preview("back", KEY, "localhost/shop:v2", "v2");
    shop.wait_ready("back");
    assert_eq!(pool.ask().unwrap(), "back v2 kept");
    shop.ask(&["annotate", "deployment/back", "byway.dev/armed-"]);
    shop.delete("back");
}

fn tls_is_said(shop: &Shop) {
    assert_eq!(shop.get_tls("front", Some(KEY)).as_deref(), Some("front v1"));
    let said = eventually(Duration::from_secs(10), || {
        shop.warning("front").contains("TLS arrives at").then_some(())
    });
    assert!(said.is_some(), "{}", shop.describe("front"));
}

fn new_image_under_load(shop: &Shop) {
    let load = shop.load("front", Some(KEY));
    let stable = shop.load("front", None);
    std::thread::sleep(Duration::from_secs(2));
    shop.preview("front", KEY, "localhost/shop:v3", "v3");
    shop.wait_ready("front");
    std::thread::sleep(Duration::from_secs(8)); // the old pod lingers, and must get nothing any more
    let (load, stable) = (load.stop().unwrap(), stable.stop().unwrap());
    assert!(
        load.failed.is_empty(),
        "{} of {:?}: {:?}",
        load.failed.len(),
        load.answered,
        load.failed.first()
    );
    assert!(load.answered["front v2"] > 100 && load.answered["front v3"] > 100, "{:?}", load.answered);
    assert_eq!(
        load.answered.len(),
        2,
        "a keyed request was answered by another version: {:?}",
        load.answered
    );
    assert!(stable.failed.is_empty(), "{:?}", stable.failed);
    assert_eq!(stable.answered.keys().collect::<Vec<_>>(), ["front v1"]);
    shop.preview("front", KEY, "localhost/shop:v2", "v2");
    shop.wait_ready("front");
    assert_eq!(shop.get("front", Some(KEY)), "front v2");
}

fn the_target_changes(shop: &Shop) {
    let all_follow = |replicas: usize| {
        shop.rolled_out("front");
        let counts = format!("{replicas}/{replicas}");
        let followed = eventually(Duration::from_secs(30), || {
            let routes = "jsonpath={.status.routes.programmed}/{.status.routes.wanted}";
            (shop.ask(&["get", "preview", "front", "-o", routes]) == counts).then_some(())
        });
        assert!(followed.is_some(), "{}", shop.describe("front"));
        for _ in 0..20 {
            assert_eq!(shop.get("front", Some(KEY)), "front v2");
            assert_eq!(shop.get("front", None), "front v1");
        }
    };
    shop.ask(&["scale", "deployment/front", "--replicas=4"]);
    all_follow(4);
    shop.ask(&["rollout", "restart", "deployment/front"]);
    all_follow(4);
    shop.wait_ready("front"); // the clone follows its target's template
    shop.ask(&["delete", "pod", "-l", "app=front", "--wait=true"]);
    all_follow(4);
    shop.ask(&["scale", "deployment/front", "--replicas=3"]);
    all_follow(3);
}

/// Nobody sends it new connections through the Service, but it serves those that it gets until its hook has ended.
fn a_target_pod_ends(shop: &Shop) {
    let first = |path: &str| shop.ask(&["get", "pods", "-l", "app=front", "-o", path]);
    let name = first("jsonpath={.items[0].metadata.name}");
    let url = format!("http://{}:8080/", first("jsonpath={.items[0].status.podIP}"));
    shop.ask(&["delete", "pod", &name, "--wait=false"]);
    let mut answered = 0;
    while let Some(answer) = shop.curl(&url, Some(KEY)) {
        assert_eq!(answer, "front v2", "after {answered} answers");
        answered += 1;
    }
    assert!(answered > 5, "only {answered} answers while the pod ended");
    shop.rolled_out("front");
    shop.wait_ready("front");
}

fn an_agent_is_killed(shop: &Shop) {
    let stable = shop.load("front", None);
    shop.kill_agents();
    // Its successor takes up the table that it left before it has asked anybody.
    let back = eventually(Duration::from_secs(60), || {
        let keyed = shop.try_get("front", Some(KEY));
        (keyed.as_deref() == Some("front v2")).then_some(())
    });
    assert!(back.is_some(), "{}", shop.describe("front"));
    shop.wait_ready("front");
    let stable = stable.stop().unwrap();
    // What an agent had accepted is reset with it; all else goes to the app.
    assert_eq!(stable.answered.keys().collect::<Vec<_>>(), ["front v1"]);
    assert!(stable.failed.len() < 20, "{} failed: {:?}", stable.failed.len(), stable.failed.first());
}

fn a_node_dies(shop: &Shop) {
    let survivor = shop.kill_a_node_without_previews();
    // Its pods stay Running for the API; what counts is that they are not ready.
    let settled = eventually(Duration::from_secs(90), || {
        let routes = "jsonpath={.status.phase} {.status.routes.programmed}/{.status.routes.wanted}";
        let shown = shop.ask(&["get", "preview", "front", "-o", routes]);
        let (phase, counts) = shown.split_once(' ')?;
        let (programmed, wanted) = counts.split_once('/')?;
        (phase == "Ready" && programmed == wanted && shop.nobody_waits_for_the_dead()).then_some(())
    });
    assert!(settled.is_some(), "{survivor}: {}", shop.describe("front"));
    // For a moment kube-proxy still sends some connections to where the dead node was, and those get no answer at all.
    for (key, wanted) in [(Some(KEY), "front v2"), (None, "front v1")] {
        let answered = eventually(Duration::from_secs(60), || {
            (0..6).all(|_| shop.try_get("front", key).as_deref() == Some(wanted)).then_some(())
        });
        assert!(answered.is_some(), "{survivor}: {}", shop.describe("front"));
    }
}

fn expiry(shop: &Shop) {
    shop.end_in("front", Duration::from_secs(8));
    let programmed = eventually(Duration::from_secs(5), || {
        shop.ask(&["get", "noderoutes", "-o", "yaml"]).contains("expiresAt").then_some(())
    });
    assert!(programmed.is_some());
    shop.wait_ready("front");
    shop.controllers(0);
    assert_eq!(shop.get("front", Some(KEY)), "front v2");
    let ended = eventually(Duration::from_secs(15), || {
        (shop.try_get("front", Some(KEY)).as_deref() == Some("front v1")).then_some(())
    });
    assert!(ended.is_some(), "the agents end it by themselves");
    assert!(!shop.ask(&["get", "pods", "-l", "byway.dev/preview=front", "-o", "name"]).is_empty());
    shop.controllers(2);
    let expired = ["wait", "--for=jsonpath={.status.phase}=Expired", "preview/front", "--timeout=60s"];
    shop.ask(&expired);
    let gone = eventually(Duration::from_secs(60), || {
        shop.ask(&["get", "pods", "-l", "byway.dev/preview=front", "-o", "name"]).is_empty().then_some(())
    });
    assert!(gone.is_some(), "the clone goes when the controller is back");
    shop.end_in("front", Duration::from_secs(3600));
    shop.wait_ready("front");
    assert_eq!(shop.get("front", Some(KEY)), "front v2");
}

fn the_end(shop: &Shop) {
    shop.delete("front");
    let clean = eventually(Duration::from_secs(60), || {
        let routes = shop.ask(&["get", "noderoutes", "-o", "name"]);
        let pods = shop.ask(&["get", "pods,deployments", "-l", "byway.dev/preview", "-o", "name"]);
        (routes.is_empty() && pods.is_empty()).then_some(())
    });
    assert!(clean.is_some());
    assert_eq!(shop.get("front", Some(KEY)), "front v1");
}
