//! What it costs to watch many targets.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use byway_sim::Controller;
use byway_tests::eventually;
use serde_json::json;

use crate::stage::{PATIENCE, Stage};

const TARGETS: usize = 60;

/// The API server speaks HTTP/2, so that a watch is a stream.
#[test]
fn watches_share_connections_and_leave_those_that_are_dead() {
    let stage = Stage::new(2);
    // Renewed at half its time: what is left then has to outlast the silence below.
    let controller = Controller::builder(stage.cluster.kubeconfig()).lease(180).lead().unwrap();
    let space = stage.space("connections");
    for n in 0..TARGETS {
        let name = format!("app-{n}");
        space.deployment(&name, 1);
        let target = json!({ "kind": "Deployment", "name": name });
        space.preview(&format!("pr-{n}"), json!({ "ttl": "never", "target": target }));
    }
    let all_ready = || {
        let ready = controller.metric("byway_controller_previews", "phase=\"Ready\"").ok()?;
        (ready == TARGETS as f64).then_some(())
    };
    assert!(eventually(4 * PATIENCE, all_ready).is_some(), "not all are ready:\n{}", controller.log());
    let sockets = sockets(controller.pid());
    assert!(sockets < TARGETS / 2, "{sockets} sockets for {TARGETS} targets");

    // For longer than a connection that gives no answer is kept.
    let api_server = stage.cluster.api_server().unwrap();
    api_server.freeze().unwrap();
    sleep(Duration::from_secs(35));
    api_server.thaw().unwrap();
    for n in [0, TARGETS - 1] {
        space.merge("Deployment", &format!("app-{n}"), json!({ "spec": { "replicas": 2 } }));
        let targets = || {
            let routed = space.routes(&format!("pr-{n}"));
            (routed.iter().map(|it| it.targets.len()).sum::<usize>() == 2).then_some(())
        };
        assert!(eventually(PATIENCE, targets).is_some(), "app-{n} is seen again:\n{}", controller.log());
    }
}

fn sockets(pid: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(Result::ok);
    open.filter_map(|it| fs::read_link(it.path()).ok())
        .filter(|to| to.to_string_lossy().starts_with("socket:"))
        .count()
}
