//! Ready is what the agents say: who is missing, who refuses, and who is late.

use std::thread::sleep;
use std::time::Duration;

use byway_api::{PreviewRequests, RequestCounts, TargetTraffic};
use byway_sim::Because;
use byway_tests::eventually;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stage::{
    PATIENCE, Routed, Space, condition, is_true, on_nodes, own_nodes, phase, shared, workload,
};

/// The target with a pod on each of these nodes, and a Preview of it.
fn on(space: &Space<'_>, nodes: &[String]) {
    let replicas = u32::try_from(nodes.len()).unwrap();
    space.apply(on_nodes(workload("Deployment", "app", replicas), nodes));
    let pods = space.wait_pods("app=app", nodes.len());
    let mut on: Vec<_> = pods.iter().map(|it| it["spec"]["nodeName"].as_str().unwrap()).collect();
    on.sort_unstable();
    let mut wanted: Vec<_> = nodes.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    assert_eq!(on, wanted);
    space.preview("pr-1", json!({}));
}

/// The name of the target's pod on a node.
fn target_on(space: &Space<'_>, node: &str) -> String {
    let pods = space.list("Pod", "app=app,!byway.dev/preview");
    let pod = pods.iter().find(|it| it["spec"]["nodeName"] == node).unwrap();
    format!("{}/{}", space.name, pod["metadata"]["name"].as_str().unwrap())
}

const OF_TARGET: &str = "pods of the target steer keyed requests to the preview";

#[test]
fn a_node_without_an_agent_is_named() {
    let (space, nodes) = (shared().space("no-agent"), own_nodes(2));
    let sim = &shared().sim;
    sim.stop_agent(&nodes[1]).unwrap();
    on(&space, nodes);
    space.wait_says(
        "pr-1",
        "RoutesProgrammed",
        "NoAgent",
        &format!("1 of 2 {OF_TARGET}; no agent runs on node {}", nodes[1]),
    );
    let preview = space.get("Preview", "pr-1").unwrap();
    assert_eq!(preview["status"]["routes"], json!({ "programmed": 1, "wanted": 2 }));
    assert_eq!(phase(&preview), "Degraded");
    // A node without an agent steers nothing, so there is nothing to wait for.
    space.wait_pods("byway.dev/preview=pr-1", 1);
    sim.start_agent(&nodes[1]).unwrap();
    space.wait_ready("pr-1");
}

#[test]
fn an_agent_that_is_not_ready_claims_nothing() {
    let (space, nodes) = (shared().space("not-ready"), own_nodes(1));
    let (sim, node) = (&shared().sim, &nodes[0]);
    on(&space, nodes);
    space.wait_ready("pr-1");
    sim.agent_is_ready(node, false);
    space.wait_says(
        "pr-1",
        "RoutesProgrammed",
        "AgentNotReady",
        &format!("0 of 1 {OF_TARGET}; the agent of node {node} is not ready"),
    );
    sim.agent(node, |agent| {
        agent.failure = Some(Because::new("NoBtf", "the kernel has no BTF: use another"));
    });
    let why = format!("the agent of node {node} is not ready (NoBtf: the kernel has no BTF: use another)");
    let said = format!("0 of 1 {OF_TARGET}; {why}");
    space.wait("pr-1", "with the reason", |it| condition(it, "Ready")["message"] == said);
    sim.agent_is_ready(node, true);
    space.wait_says(
        "pr-1",
        "RoutesProgrammed",
        "NoBtf",
        &format!("0 of 1 {OF_TARGET}; on node {node}: the kernel has no BTF: use another"),
    );
    sim.agent(node, |agent| agent.failure = None);
    space.wait_ready("pr-1");
}

#[test]
fn an_agent_that_refuses_says_why() {
    let (space, nodes) = (shared().space("refuses"), own_nodes(1));
    let (sim, node) = (&shared().sim, &nodes[0]);
    let because = Because::new("TooNew", "field x is not known: update the agent");
    sim.agent(node, |agent| drop(agent.refuses.insert(format!("{}/pr-1", space.name), because)));
    on(&space, nodes);
    let why = format!("the agent of node {node} refuses it: field x is not known: update the agent");
    space.wait_says("pr-1", "RoutesProgrammed", "TooNew", &format!("0 of 1 {OF_TARGET}; {why}"));
    assert_eq!(phase(&space.get("Preview", "pr-1").unwrap()), "Failed");
    // Another one on the same node is none of its business.
    space.preview("pr-2", json!({}));
    space.wait_ready("pr-2");
    sim.agent(node, |agent| agent.refuses.clear());
    space.wait_ready("pr-1");
}

#[test]
fn partly_programmed_is_counted() {
    let (space, nodes) = (shared().space("partly"), own_nodes(3));
    let sim = &shared().sim;
    sim.agent(&nodes[2], |agent| agent.silent = true);
    on(&space, nodes);
    space.wait_says(
        "pr-1",
        "RoutesProgrammed",
        "Programming",
        &format!("2 of 3 {OF_TARGET}; waiting for the agents to acknowledge"),
    );
    let preview = space.get("Preview", "pr-1").unwrap();
    assert_eq!(preview["status"]["routes"], json!({ "programmed": 2, "wanted": 3 }));
    let pod = space.list("Pod", "byway.dev/preview=pr-1").remove(0);
    assert!(is_true(&pod, "ContainersReady") && !is_true(&pod, "Ready"), "its gate is closed");

    let target = target_on(&space, &nodes[2]);
    let because = Because::new("AttachFailed", "the pod has no network namespace: restart it");
    sim.agent(&nodes[2], |agent| {
        agent.silent = false;
        agent.fails_on.insert(target.clone(), because);
    });
    let why = format!("{target} on node {}: the pod has no network namespace: restart it", nodes[2]);
    space.wait_says("pr-1", "RoutesProgrammed", "AttachFailed", &format!("2 of 3 {OF_TARGET}; {why}"));
    assert_eq!(phase(&space.get("Preview", "pr-1").unwrap()), "Degraded");
    sim.agent(&nodes[2], |agent| agent.fails_on.clear());
    space.wait_ready("pr-1");
}

#[test]
fn what_a_predecessor_said_counts_no_more() {
    let (space, nodes) = (shared().space("restart"), own_nodes(1));
    let (sim, node) = (&shared().sim, &nodes[0]);
    on(&space, nodes);
    space.wait_ready("pr-1");
    // Its container runs since a later second, and it says nothing yet.
    sleep(Duration::from_millis(2500));
    sim.agent(node, |agent| agent.silent = true);
    sim.restart_agent(node);
    space.wait_says(
        "pr-1",
        "RoutesProgrammed",
        "Programming",
        &format!("0 of 1 {OF_TARGET}; waiting for the agents to acknowledge"),
    );
    sim.agent(node, |agent| agent.silent = false);
    space.wait_ready("pr-1");
}

#[test]
fn pods_on_a_dead_node_are_not_waited_for() {
    let (space, nodes) = (shared().space("dead"), own_nodes(2));
    let sim = &shared().sim;
    on(&space, nodes);
    space.wait_ready("pr-1");
    sim.node_dies(&nodes[1]);
    space.wait("pr-1", "on one pod", |it| it["status"]["routes"] == json!({ "programmed": 1, "wanted": 1 }));
    space.preview("pr-2", json!({}));
    space.wait_ready("pr-2");
    // If it was only cut off, its agent gets the routes all the same.
    assert_eq!(space.routes("pr-2").iter().map(|it| it.targets.len()).sum::<usize>(), 2);
}

#[test]
fn a_preview_whose_node_dies_is_not_ready_and_gets_no_requests() {
    let (space, nodes) = (shared().space("lost"), own_nodes(2));
    on(&space, nodes);
    // The target outlives the node, and the clone's pod is the only one that it has.
    space.wait_ready("pr-1");
    let pod = space.wait_pods("byway.dev/preview=pr-1", 1).remove(0);
    let node = pod["spec"]["nodeName"].as_str().unwrap();
    assert!(nodes.iter().any(|it| it == node), "its node is nobody else's");
    shared().sim.node_dies(node);
    let name = pod["metadata"]["name"].as_str().unwrap();
    let wanted = format!(
        "0 of 1 pods are ready; {name}: node {node} does not answer; Kubernetes replaces the pod after some minutes"
    );
    space.wait_says("pr-1", "PodsReady", "ContainersNotReady", &wanted);
    let backends = || {
        let routes = space.routes("pr-1");
        let none = |it: &Routed| it.entry["backends"].as_array().is_none_or(Vec::is_empty);
        (!routes.is_empty() && routes.iter().all(none)).then_some(())
    };
    assert!(eventually(PATIENCE, backends).is_some(), "a pod that is lost gets no requests");
    // What takes its place is elsewhere.
    space.delete("Pod", name);
    space.wait_ready("pr-1");
}

#[test]
fn requests_are_counted_in_the_status_and_keep_a_preview_from_being_idle() {
    let (space, nodes) = (shared().space("requests"), own_nodes(2));
    let sim = &shared().sim;
    let (one, other) = (&nodes[0], &nodes[1]);
    on(&space, nodes);
    space.wait_ready("pr-1");
    let seen = |node: &str, requests: u64, last: SignedDuration| {
        let counts = RequestCounts { requests, unreachable: 1, ..RequestCounts::default() };
        let preview = format!("{}/pr-1", space.name);
        let last_request_time = Some(whole_second(Timestamp::now() - last));
        let word = PreviewRequests { preview, counts, last_request_time };
        sim.agent(node, |agent| agent.requests = vec![word.clone()]);
        last_request_time.map(|it| it.to_string())
    };
    let last = seen(one, 3, SignedDuration::from_secs(285));
    let told = space.wait("pr-1", "counted", |it| it["status"]["traffic"]["requests"] == 3);
    assert_eq!(told["status"]["traffic"], json!({ "requests": 3, "unreachable": 1 }));
    assert_eq!(told["status"]["lastRequestTime"].as_str().map(str::to_owned), last);

    // It ends five minutes after its last request, wherever that came to; the agents are not told of that.
    let long_ago = (Timestamp::now() - SignedDuration::from_secs(1000)).to_string();
    let idle = json!({ "spec": { "idleTtl": "5m", "renewedAt": long_ago } });
    space.merge("Preview", "pr-1", idle);
    space.wait("pr-1", "about to end", |it| it["status"]["timeLeft"] == "<1m");
    assert!(space.get("Preview", "pr-1").unwrap()["status"]["expiresAt"].is_string());
    seen(other, 1, SignedDuration::from_secs(295));
    space.wait("pr-1", "live with both counts", |it| it["status"]["timeLeft"] == "<1m");
    let expired = space.wait("pr-1", "expired", |it| phase(it) == "Expired");
    let said = condition(&expired, "Ready")["message"].as_str().unwrap();
    assert!(said.contains("since no request with its key had come for its idleTtl"), "{said}");
    assert_eq!(expired["status"]["traffic"]["requests"], 4);
    space.wait_no_routes("pr-1");
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap()
}

#[test]
fn traffic_that_no_header_can_match_is_a_warning() {
    let (space, nodes) = (shared().space("traffic"), own_nodes(1));
    let (sim, node) = (&shared().sim, &nodes[0]);
    on(&space, nodes);
    let preview = space.wait_ready("pr-1");
    assert_eq!(*condition(&preview, "Warnings"), Value::Null);
    let target = target_on(&space, node);
    let sees = |tls, http2, deaf: Vec<u16>| {
        let seen = TargetTraffic {
            target: target.clone(),
            tls,
            http2,
            not_listening: deaf,
            ..TargetTraffic::default()
        };
        sim.agent(node, |agent| agent.traffic = vec![seen]);
    };
    let tail = |connections: &str| {
        format!(
            "arrives at {target} ({connections} on its steered ports): no header can be read in it, so it reaches the app, unless it comes from a pod of the environment"
        )
    };
    sees(3, 0, vec![]);
    let said = space.wait_condition("pr-1", "Warnings", "True", "TrafficNotMatched");
    assert_eq!(said, format!("TLS {}", tail("3 connections")));
    sees(0, 0, vec![8080]);
    let said = space.wait_condition("pr-1", "Warnings", "True", "NothingListens");
    let deaf = format!(
        "nothing listens on port 8080 of {target}; set incoming.ports to the ports that the app serves"
    );
    assert_eq!(said, deaf);
    sees(1, 1, vec![8080]);
    let said = space.wait_condition("pr-1", "Warnings", "True", "Several");
    let tail = tail("1 connection");
    let wanted = format!(
        "TrafficNotMatched: TLS {tail}; TrafficNotMatched: HTTP/2, which the app does not speak, {tail}; NothingListens: {deaf}"
    );
    assert_eq!(said, wanted);
    assert!(is_true(&space.get("Preview", "pr-1").unwrap(), "Ready"), "it is ready all the same");
    sim.agent(node, |agent| agent.traffic.clear());
    space.wait("pr-1", "without warnings", |it| condition(it, "Warnings").is_null());
}

#[test]
fn connections_older_than_the_route_are_a_warning_with_what_was_missed_on_them() {
    let (space, nodes) = (shared().space("older"), own_nodes(1));
    let (sim, node) = (&shared().sim, &nodes[0]);
    on(&space, nodes);
    space.wait_ready("pr-1");
    let entry = space.routes("pr-1").remove(0).entry;
    assert_eq!(entry["existingConnections"], Value::Null, "older agents do not know it");
    let target = target_on(&space, node);
    let preview = format!("{}/pr-1", space.name);
    let sees = |old_connections, missed| {
        let seen = TargetTraffic { target: target.clone(), old_connections, ..TargetTraffic::default() };
        let counts = RequestCounts { missed, ..RequestCounts::default() };
        let came = PreviewRequests { preview: preview.clone(), counts, last_request_time: None };
        sim.agent(node, |agent| (agent.traffic, agent.requests) = (vec![seen.clone()], vec![came.clone()]));
    };
    sees(3, 7);
    let said = space.wait_condition("pr-1", "Warnings", "True", "OldConnections");
    let wanted = "3 connections were open before the route and bypass the preview, and 7 requests with the key have been missed on them so far; set incoming.existingConnections to drainIdle";
    assert!(said.starts_with(wanted), "{said}");
    assert_eq!(space.get("Preview", "pr-1").unwrap()["status"]["traffic"], json!({ "missed": 7 }));

    // What is asked for reaches the agents, as another revision.
    let drains = json!({ "spec": { "incoming": { "existingConnections": "drainIdle" } } });
    space.merge("Preview", "pr-1", drains);
    let drains = || {
        let now = space.routes("pr-1").pop()?.entry;
        (now["existingConnections"] == "drainIdle" && now["revision"] != entry["revision"]).then_some(())
    };
    assert!(eventually(PATIENCE, drains).is_some());
    space.wait_ready("pr-1");
    sees(0, 7);
    space.wait("pr-1", "without warnings", |it| condition(it, "Warnings").is_null());
}

#[test]
fn requests_that_went_to_the_app_are_in_the_status_by_reason() {
    let (space, nodes) = (shared().space("lost"), own_nodes(1));
    let (sim, node) = (&shared().sim, &nodes[0]);
    on(&space, nodes);
    space.wait_ready("pr-1");
    let preview = format!("{}/pr-1", space.name);
    let lost = [("BothLengths".to_owned(), 2), ("BareLf".to_owned(), 1)].into();
    let counts = RequestCounts { lost, ..RequestCounts::default() };
    let came = PreviewRequests { preview, counts, last_request_time: None };
    sim.agent(node, |agent| agent.requests = vec![came]);
    let said = space.wait_condition("pr-1", "Warnings", "True", "RequestsLost");
    assert!(
        said.starts_with("3 requests with the key went to the app, 2 since a request on their"),
        "{said}"
    );
    let traffic = space.get("Preview", "pr-1").unwrap()["status"]["traffic"].clone();
    assert_eq!(traffic, json!({ "lost": { "BareLf": 1, "BothLengths": 2 } }));
    assert!(is_true(&space.get("Preview", "pr-1").unwrap(), "Ready"), "it is ready all the same");
}

/// A target's new pod is steered by an agent that needs a moment: for who waits for the preview, nothing has changed.
#[test]
fn a_pod_that_comes_does_not_make_it_unready_at_once() {
    let (space, nodes) = (shared().space("patience"), own_nodes(1));
    let sim = &shared().sim;
    on(&space, nodes);
    let since = condition(&space.wait_ready("pr-1"), "Ready")["lastTransitionTime"].clone();
    sleep(Duration::from_millis(1100));
    sim.agent(&nodes[0], |agent| agent.delay = Duration::from_millis(800));
    space.merge("Deployment", "app", json!({ "spec": { "replicas": 2 } }));
    let both = json!({ "programmed": 2, "wanted": 2 });
    let preview = space.wait("pr-1", "on both", |it| it["status"]["routes"] == both);
    assert_eq!(condition(&preview, "Ready")["lastTransitionTime"], since, "it was ready all the time");

    // But not for long.
    sim.agent(&nodes[0], |agent| agent.silent = true);
    space.merge("Deployment", "app", json!({ "spec": { "replicas": 3 } }));
    let said = space.wait_not_ready("pr-1", "RoutesProgrammed", "Programming");
    assert!(
        said.ends_with(
            "of the target steer keyed requests to the preview; waiting for the agents to acknowledge"
        ),
        "{said}"
    );
    sim.agent(&nodes[0], |agent| agent.silent = false);
    space.wait_ready("pr-1");
}

#[test]
fn the_gate_waits_for_the_last_agent() {
    let (space, nodes) = (shared().space("gate"), own_nodes(2));
    let sim = &shared().sim;
    sim.agent(&nodes[1], |agent| agent.silent = true);
    on(&space, nodes);
    space.wait_condition("pr-1", "PodsReady", "True", "PodsReady");
    space.wait_condition("pr-1", "RoutesProgrammed", "False", "Programming");
    sleep(Duration::from_millis(500));
    let pod = space.list("Pod", "byway.dev/preview=pr-1").remove(0);
    assert!(condition(&pod, byway_api::names::READINESS_GATE).is_null());
    sim.agent(&nodes[1], |agent| agent.silent = false);
    let opened = || {
        let pod = space.list("Pod", "byway.dev/preview=pr-1").remove(0);
        is_true(&pod, byway_api::names::READINESS_GATE).then_some(())
    };
    assert!(eventually(PATIENCE, opened).is_some());
    space.wait_ready("pr-1");
}

/// The API server keeps no object above a size, and what an older preview has is not taken from it by a newer one.
#[test]
fn a_node_has_room_for_so_much() {
    let (space, nodes) = (shared().space("full"), own_nodes(1));
    space.apply(on_nodes(workload("Deployment", "app", 1), nodes));
    let pattern = "x".repeat(1000) + " {{ key }}";
    let all: Vec<_> =
        (0..32).map(|_| json!({ "header": { "name": "x-traffic", "exact": pattern } })).collect();
    let large = json!({ "incoming": { "match": { "all": all } } });
    let mut names = Vec::new();
    let full = eventually(PATIENCE, || {
        let name = format!("pr-{}", names.len() + 1);
        if names.len() > 20 {
            sleep(Duration::from_secs(1)); // which of them is older is known by the second
        }
        space.preview(&name, large.clone());
        let settled = space.wait(&name, "ready, or without room", |it| {
            phase(it) == "Ready" || condition(it, "RoutesProgrammed")["reason"] == "NodeFull"
        });
        names.push(name);
        (phase(&settled) != "Ready").then_some(())
    });
    assert!(full.is_some(), "{} previews, and room for more", names.len());
    let newest = names.last().unwrap();
    let node = &nodes[0];
    let why = format!("there is no room for more previews on node {node}: end some, or use fewer targets");
    space.wait_says(newest, "RoutesProgrammed", "NodeFull", &format!("0 of 1 {OF_TARGET}; {why}"));
    assert!(names.len() > 20, "only {}", names.len());
    space.delete("Preview", "pr-1");
    space.wait_ready(newest);
    names[1..].iter().for_each(|name| drop(space.wait_ready(name)));
}
