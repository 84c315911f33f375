use byway_api::{
    ExistingConnections, Failure, Phase, PreviewRequests, Refusal, RequestCounts, TargetFailure,
    TargetTraffic,
};
use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::outcome::CloneOutcome;
use crate::table::Change;
use crate::testing::{
    acknowledge, acknowledge_all, agent, at, backend, cloned, judged, node, planned, preview, put,
    ready_world, says, start, table, target, world,
};

fn message(judged: &Judged, type_: &str) -> String {
    judged.status.conditions.iter().find(|it| it.type_ == type_).unwrap().message.clone()
}

/// The Preview with this status, as the API server gives it back.
fn written(world: &mut World, judged: Judged) {
    let mut preview = (**world.previews.get(&crate::testing::name("a")).unwrap()).clone();
    preview.status = Some(judged.status);
    put(world, preview);
}

#[test]
fn what_is_written_is_not_written_again() {
    let (world, preview) = ready_world();
    let again = judged(&world, "a", None, at(260));
    assert_eq!(Some(&again.status), preview.status.as_ref());
}

#[test]
fn ready_says_the_first_thing_that_is_wrong() {
    let (mut world, preview) = ready_world();
    let ready = |world: &World| says(&judged(world, "a", None, at(300)), "Ready");
    agent(&mut world, "agent-n2", "n2", |it| it.ready = false);
    assert_eq!(ready(&world), "False AgentNotReady");
    backend(&mut world, "a", 1, "r1", |pod| {
        pod.containers_ready = false;
        pod.problem = Some((reason::CRASH_LOOP, "it ends".into()));
    });
    assert_eq!(ready(&world), "False CrashLoop");
    let refused = CloneOutcome::Refused {
        version: 1,
        generation: None,
        reason: "NameTaken".into(),
        message: "rename".into(),
    };
    world.clones.insert(crate::identity::uid_of(&preview), refused);
    assert_eq!(ready(&world), "False NameTaken");
}

#[test]
fn phases() {
    let (mut world, preview) = ready_world();
    let phase = |world: &World| judged(world, "a", None, at(300)).status.phase.unwrap();
    assert_eq!(phase(&world), Phase::Ready);
    // One of two agents is away: some requests reach it.
    agent(&mut world, "agent-n2", "n2", |it| it.ready = false);
    assert_eq!(phase(&world), Phase::Degraded);
    agent(&mut world, "agent-n1", "n1", |it| it.ready = false);
    assert_eq!(phase(&world), Phase::Pending, "they may come back");
    let (_, plan) = planned(&world, at(300));
    for on in ["n1", "n2"] {
        agent(&mut world, &format!("agent-{on}"), on, |_| {});
        let failure = Failure { reason: "NoBtf".into(), message: "use another kernel".into() };
        acknowledge(&mut world, on, &plan.nodes[&crate::rows::Name::from(on)], |it| {
            it.failure = Some(failure);
        });
    }
    assert_eq!(phase(&world), Phase::Failed, "waiting does not help");
    acknowledge_all(&mut world, at(300));
    backend(&mut world, "a", 1, "r1", |pod| {
        pod.containers_ready = false;
        pod.problem = Some((reason::UNSCHEDULABLE, "no room".into()));
    });
    acknowledge_all(&mut world, at(300));
    assert_eq!(phase(&world), Phase::Pending, "a node may come");
    backend(&mut world, "a", 1, "r1", |pod| {
        pod.containers_ready = false;
        pod.problem = Some((reason::IMAGE_PULL_FAILED, "no such image".into()));
    });
    assert_eq!(phase(&world), Phase::Failed);
    let mut ended = (*preview).clone();
    ended.spec.ttl = "60s".parse().unwrap();
    put(&mut world, ended);
    assert_eq!(phase(&world), Phase::Expired);
}

#[test]
fn who_sleeps_is_ready_for_a_request() {
    let (mut world, preview) = ready_world();
    let mut sleeper = (*preview).clone();
    sleeper.status = None;
    sleeper.spec.idle = serde_json::from_value(serde_json::json!({ "startAsleep": true })).ok();
    put(&mut world, sleeper);
    backend(&mut world, "a", 1, "r1", |pod| pod.pod.terminating = true);
    acknowledge_all(&mut world, at(300));
    let of = |world: &World| judged(world, "a", None, at(300));
    assert_eq!(of(&world).status.phase, Some(Phase::Asleep));
    assert_eq!(
        (says(&of(&world), "Ready"), says(&of(&world), "PodsReady")),
        ("True Asleep".into(), "True Asleep".into())
    );
    assert!(message(&of(&world), "Ready").contains("waits for it 90s at most"));
    // A request of now wakes it: what counts is its pods again.
    let (_, plan) = planned(&world, at(300));
    acknowledge(&mut world, "n1", &plan.nodes[&crate::rows::Name::from("n1")], |status| {
        status.requests = vec![PreviewRequests {
            preview: "demo/a".to_owned(),
            last_request_time: Some(at(300)),
            ..PreviewRequests::default()
        }];
    });
    assert_eq!(of(&world).status.phase, Some(Phase::Pending));
    assert_eq!(says(&of(&world), "PodsReady"), "False Updating");
}

#[test]
fn a_pod_that_restarts_does_not_make_it_unready_at_once() {
    let (mut world, _) = ready_world();
    target(&mut world, 3, "n2", |_| {});
    let (began, ends) = (at(300), at(300) + PATIENCE);
    let judge_at = |world: &World, now| judged(world, "a", Some(began), now);
    let patient = judge_at(&world, at(301));
    assert_eq!(says(&patient, "Ready"), "True Ready");
    assert_eq!(patient.until, Some(ends), "it is looked at again then");
    let counts = patient.status.routes.unwrap();
    assert_eq!((counts.programmed, counts.wanted), (1, 3), "the counts are true at any time");
    let late = judge_at(&world, ends);
    assert_eq!(says(&late, "RoutesProgrammed"), "False Programming");
    assert_eq!(says(&late, "Ready"), "False Programming");
    // Once it was said, it is not taken back before it is true again.
    written(&mut world, late);
    assert_eq!(says(&judge_at(&world, at(301)), "Ready"), "False Programming");
}

#[test]
fn patience_is_only_for_what_was_ready_as_it_is_now() {
    let (mut world, preview) = ready_world();
    // A new generation whose pods are ready, and whose routes nobody has acknowledged.
    let mut newer = (*preview).clone();
    newer.metadata.generation = Some(2);
    put(&mut world, newer.clone());
    cloned(&mut world, &newer, "r2");
    backend(&mut world, "a", 2, "r2", |_| {});
    let judged_now = judged(&world, "a", Some(at(300)), at(300));
    assert_eq!(says(&judged_now, "Ready"), "False Programming");

    // Nor was it ready while only its routes were.
    let mut status = newer.status.clone().unwrap();
    for condition in &mut status.conditions {
        condition.observed_generation = Some(2);
        if condition.type_ == "Ready" {
            condition.status = "False".to_owned();
        }
    }
    newer.status = Some(status);
    put(&mut world, newer);
    assert_eq!(says(&judged(&world, "a", Some(at(300)), at(300)), "Ready"), "False Programming");
}

#[test]
fn patience_is_not_for_what_is_known_to_be_wrong() {
    let (mut world, _) = ready_world();
    agent(&mut world, "agent-n2", "n2", |it| it.ready = false);
    assert_eq!(says(&judged(&world, "a", Some(at(300)), at(300)), "Ready"), "False AgentNotReady");
}

#[test]
fn a_transition_time_moves_only_with_the_status() {
    let (mut world, _) = ready_world();
    let since = |judged: &Judged, type_: &str| {
        judged.status.conditions.iter().find(|it| it.type_ == type_).unwrap().last_transition_time.0
    };
    agent(&mut world, "agent-n2", "n2", |it| it.ready = false);
    let now = at(300) + SignedDuration::from_millis(700);
    let first = judged(&world, "a", None, now);
    assert_eq!(since(&first, "Ready"), at(300), "in whole seconds");
    assert_eq!(since(&first, "PodsReady"), at(200), "as it was");
    written(&mut world, first);
    world.apply(crate::update::Update::Agent(Change::Now("agent-n2".into(), None)));
    let second = judged(&world, "a", None, at(400));
    assert_eq!(says(&second, "Ready"), "False NoAgent", "another reason");
    assert_eq!(since(&second, "Ready"), at(300), "and no transition");
}

#[test]
fn a_status_speaks_of_a_spec_only_once_its_clone_is_there() {
    let (mut world, preview) = ready_world();
    let mut newer = (*preview).clone();
    newer.metadata.generation = Some(2);
    put(&mut world, newer.clone());
    // Whoever waits for the newest spec to be Ready must not be told of the one before.
    let said_of = |world: &World| {
        let status = judged(world, "a", None, at(300)).status;
        let of = status.conditions.iter().map(|it| it.observed_generation);
        of.chain([status.observed_generation]).collect::<std::collections::HashSet<_>>()
    };
    assert_eq!(said_of(&world), [Some(1)].into());
    cloned(&mut world, &newer, "r1");
    assert_eq!(said_of(&world), [Some(2)].into());
}

#[test]
fn every_word_of_an_agent_is_understood() {
    let (mut world, _) = ready_world();
    let (_, plan) = planned(&world, at(300));
    let spec = plan.nodes[&crate::rows::Name::from("n2")].clone();
    let route = |world: &World| {
        let judged = judged(world, "a", None, at(300));
        (says(&judged, "RoutesProgrammed"), message(&judged, "RoutesProgrammed"))
    };
    let head = "1 of 2 pods of the target steer keyed requests to the preview";
    let waiting = ("False Programming".to_owned(), format!("{head}; waiting for the agents to acknowledge"));

    acknowledge(&mut world, "n2", &spec, |it| it.previews[0].revision = Some("other".into()));
    assert_eq!(route(&world), waiting, "older routes");
    acknowledge(&mut world, "n2", &spec, |it| it.previews.clear());
    assert_eq!(route(&world), waiting, "not seen yet");
    acknowledge(&mut world, "n2", &spec, |it| it.instance.as_mut().unwrap().pod_uid = "another".into());
    assert_eq!(route(&world), waiting, "the word of an agent that is gone");
    let earlier = start() - SignedDuration::from_secs(2);
    acknowledge(&mut world, "n2", &spec, |it| it.instance.as_mut().unwrap().started_at = earlier);
    assert_eq!(route(&world), waiting, "the word of an earlier run");
    let refusal = |revision: &str| Refusal {
        revision: revision.to_owned(),
        reason: "TooNew".to_owned(),
        message: "update the agent".to_owned(),
    };
    acknowledge(&mut world, "n2", &spec, |it| {
        it.previews[0].revision = None;
        it.previews[0].refused = Some(refusal("other"));
    });
    assert_eq!(route(&world), waiting, "what was refused is not what is wanted now");
    let now = table(&spec).previews[0].revision.clone();
    acknowledge(&mut world, "n2", &spec, |it| {
        it.previews[0].revision = None;
        it.previews[0].refused = Some(refusal(&now));
    });
    let why = format!("{head}; the agent of node n2 refuses it: update the agent");
    assert_eq!(route(&world), ("False TooNew".to_owned(), why));
    let failure = |target: &str| TargetFailure {
        target: target.to_owned(),
        reason: "AttachFailed".to_owned(),
        message: "restart it".to_owned(),
    };
    acknowledge(&mut world, "n2", &spec, |it| it.previews[0].failures = vec![failure("demo/app-9")]);
    assert_eq!(route(&world).0, "True Programmed", "another target");
    acknowledge(&mut world, "n2", &spec, |it| it.previews[0].failures = vec![failure("demo/app-2")]);
    let why = format!("{head}; demo/app-2 on node n2: restart it");
    assert_eq!(route(&world), ("False AttachFailed".to_owned(), why));
}

#[test]
fn a_message_names_a_few_nodes_and_counts_the_rest() {
    let mut world = world();
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r1");
    for n in 1..=8 {
        target(&mut world, n, &format!("n{n}"), |_| {});
    }
    let said = message(&judged(&world, "a", None, at(300)), "RoutesProgrammed");
    assert!(said.starts_with(
        "0 of 8 pods of the target steer keyed requests to the preview; no agent runs on node n1; "
    ));
    assert!(said.ends_with("no agent runs on node n5; and 3 more"), "{said}");
}

#[test]
fn a_message_has_room_in_a_condition() {
    let (mut world, preview) = ready_world();
    let long = CloneOutcome::Refused {
        version: 1,
        generation: None,
        reason: "X".into(),
        message: "ä".repeat(40_000),
    };
    world.clones.insert(crate::identity::uid_of(&preview), long);
    let said = message(&judged(&world, "a", None, at(300)), "Ready");
    assert!(said.len() <= 32 << 10 && said.ends_with("ä ..."), "{}", said.len());
}

#[test]
fn warnings_of_the_traffic_come_and_go() {
    let (mut world, _) = ready_world();
    let (_, plan) = planned(&world, at(300));
    let spec = plan.nodes[&crate::rows::Name::from("n1")].clone();
    assert_eq!(says(&judged(&world, "a", None, at(300)), "Warnings"), "none");
    let seen = TargetTraffic { target: "demo/app-1".into(), tls: 1, ..TargetTraffic::default() };
    acknowledge(&mut world, "n1", &spec, |it| it.targets = vec![seen.clone()]);
    let warned = judged(&world, "a", None, at(300));
    assert_eq!(says(&warned, "Warnings"), "True TrafficNotMatched");
    let said = message(&warned, "Warnings");
    assert!(said.starts_with("TLS arrives at demo/app-1 (1 connection on its steered ports): "), "{said}");
    let many = TargetTraffic { tls: 3999, ..seen.clone() };
    acknowledge(&mut world, "n1", &spec, |it| it.targets = vec![many]);
    let said = message(&judged(&world, "a", None, at(300)), "Warnings");
    assert!(said.contains("demo/app-1 (3000 connections or more on its steered ports): "), "{said}");
    assert_eq!(says(&warned, "Ready"), "True Ready", "it is ready all the same");
    let passed_on = [("Backlog".to_owned(), 43), ("New".to_owned(), 1)].into();
    let passed = TargetTraffic { target: "demo/app-1".into(), passed_on, ..TargetTraffic::default() };
    acknowledge(&mut world, "n1", &spec, |it| it.targets = vec![passed]);
    let passed = judged(&world, "a", None, at(300));
    assert_eq!(says(&passed, "Warnings"), "True ConnectionsPassedOn");
    let said = message(&passed, "Warnings");
    let expected =
        "40 connections or more to demo/app-1 since more of them came at once than the agent accepts";
    assert!(said.contains(expected), "{said}");
    assert!(said.contains("1 connection to demo/app-1 since the agent has a reason that "), "{said}");
    let both = TargetTraffic { not_listening: vec![8080], ..seen };
    acknowledge(&mut world, "n1", &spec, |it| it.targets = vec![both]);
    assert_eq!(says(&judged(&world, "a", None, at(300)), "Warnings"), "True Several");
}

#[test]
fn how_connections_reach_the_app_is_said_where_it_is_not_always_the_same() {
    let (mut world, _) = ready_world();
    let (_, plan) = planned(&world, at(300));
    let spec = plan.nodes[&crate::rows::Name::from("n1")].clone();
    let all = "every ready pod of the target steers keyed requests to the preview";
    assert_eq!(message(&judged(&world, "a", None, at(300)), "RoutesProgrammed"), all);
    let ways = [("Direct", vec![8080, 8081]), ("Http2", vec![9090]), ("New", vec![1])];
    let ways = ways.map(|(code, ports)| (code.to_owned(), ports)).into();
    let seen = TargetTraffic { target: "demo/app-1".into(), ways, ..TargetTraffic::default() };
    acknowledge(&mut world, "n1", &spec, |it| it.targets = vec![seen]);
    let said = message(&judged(&world, "a", None, at(300)), "RoutesProgrammed");
    assert_eq!(
        said,
        format!(
            "{all}; connections to port 8080, 8081 go straight to the app until a request is keyed; connections to port 9090 go through the agent, since HTTP/2 is spoken there; connections to port 1 go through the agent, since New"
        )
    );
}

#[test]
fn connections_older_than_the_route_are_a_warning_as_long_as_they_are_open() {
    let (mut world, preview) = ready_world();
    let (_, plan) = planned(&world, at(300));
    let spec = plan.nodes[&crate::rows::Name::from("n1")].clone();
    let seen = |world: &mut World, old_connections, missed| {
        let target =
            TargetTraffic { target: "demo/app-1".into(), old_connections, ..TargetTraffic::default() };
        let counts = RequestCounts { missed, ..RequestCounts::default() };
        let came = PreviewRequests { preview: "demo/a".into(), counts, last_request_time: None };
        acknowledge(world, "n1", &spec, |it| (it.targets, it.requests) = (vec![target], vec![came]));
    };
    seen(&mut world, 1, 0);
    let warned = judged(&world, "a", None, at(300));
    assert_eq!(says(&warned, "Warnings"), "True OldConnections");
    assert_eq!(says(&warned, "Ready"), "True Ready", "it is ready all the same");
    assert_eq!(
        message(&warned, "Warnings"),
        "1 connection was open before the route and bypasses the preview, and no request with the key has been seen on them yet \
         (in HTTP/2 and TLS none can be); \
         set incoming.existingConnections to drainIdle, restart the clients' connection pools, or annotate the target with \
         byway.dev/armed=true ahead of the next preview"
    );
    seen(&mut world, 2, 5);
    let warned = judged(&world, "a", None, at(300));
    let said = message(&warned, "Warnings");
    assert!(
        said.starts_with("2 connections were open before the route and bypass the preview, and 5 requests"),
        "{said}"
    );
    assert_eq!(warned.status.traffic.missed, 5);
    let mut drains = (*preview).clone();
    drains.spec.incoming.existing_connections = ExistingConnections::DrainIdle;
    put(&mut world, drains);
    let said = message(&judged(&world, "a", None, at(300)), "Warnings");
    assert!(
        said.contains("; those of HTTP/1 are closed once a request on them was seen to be answered, others"),
        "{said}"
    );
    seen(&mut world, 0, 5);
    assert_eq!(says(&judged(&world, "a", None, at(300)), "Warnings"), "none");
}

#[test]
fn requests_that_went_to_the_app_are_a_warning_with_what_to_do() {
    let (mut world, _) = ready_world();
    let (_, plan) = planned(&world, at(300));
    let spec = plan.nodes[&crate::rows::Name::from("n1")].clone();
    let mut said = |lost: &[(&str, u64)]| {
        let lost = lost.iter().map(|(code, n)| ((*code).to_owned(), *n)).collect();
        let counts = RequestCounts { lost, ..RequestCounts::default() };
        let came = PreviewRequests { preview: "demo/a".into(), counts, last_request_time: None };
        acknowledge(&mut world, "n1", &spec, |it| it.requests = vec![came]);
        let judged = judged(&world, "a", None, at(300));
        assert_eq!(says(&judged, "Ready"), "True Ready", "it is ready all the same");
        assert_eq!(says(&judged, "Warnings"), "True RequestsLost");
        (message(&judged, "Warnings"), judged.status.traffic.lost.values().sum::<u64>())
    };
    let (message, _) = said(&[("BothLengths", 1)]);
    let wanted = "1 request with the key went to the app, 1 since a request on their connection had both Content-Length and \
                  Transfer-Encoding (BothLengths): have the client, or the proxy that it comes through, send one plain Content-Length \
                  or exactly `Transfer-Encoding: chunked` in HTTP/1.1";
    assert_eq!(message, wanted);
    let (message, all) = said(&[("BareLf", 1), ("BothLengths", 2), ("New", 5), ("NulByte", 1)]);
    assert!(message.starts_with("9 requests with the key went to the app, 5 for a reason that"), "{message}");
    assert!(message.ends_with("; status.traffic.lost has the rest"), "{message}");
    assert_eq!(all, 9);
}

#[test]
fn nothing_to_steer_is_said() {
    let mut world = world();
    node(&mut world, "n1");
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r1");
    backend(&mut world, "a", 1, "r1", |_| {});
    let judged = judged(&world, "a", None, at(300));
    assert_eq!(says(&judged, "Ready"), "False NoTargetPods");
    assert_eq!(judged.status.phase, Some(Phase::Pending));
}

#[test]
fn the_text_of_the_time_left_says_when_it_will_be_another() {
    let (mut world, preview) = ready_world();
    let mut short = (*preview).clone();
    short.spec.ttl = "10m".parse().unwrap();
    put(&mut world, short);
    let judged = judged(&world, "a", None, at(90));
    assert_eq!(judged.status.time_left.as_deref(), Some("5m"));
    let until = judged.until.unwrap();
    assert!(until > at(90) && until <= at(90 + 211), "{until}");
    assert_eq!(judged.status.expires_at.unwrap().0, at(600));
}
