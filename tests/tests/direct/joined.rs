//! Connections that were open before the agent was: followed as soon as it is sure where a head begins on them.

use std::{thread, time::Duration};

use byway_tests::{Agent, App, Http, Stage, eventually, needs_root};

use super::{KEYED, agent, counter, name, told};

const SOON: Duration = Duration::from_secs(10);

/// The agent has found so many connections of before.
fn wait_found(stage: &Stage, agent: &Agent, wanted: u64) {
    let found = eventually(SOON, || (told(stage, "old", "open") == wanted).then_some(()));
    assert!(found.is_some(), "{}\n{}", Agent::debug_routes(), agent.log());
}

fn open(stage: &Stage) -> Vec<Http> {
    stage.addresses().map(|to| Http::new(stage.client.connect(to).unwrap())).into()
}

fn get(http: &mut Http, headers: &[(&str, &str)], agent: &Agent) -> String {
    let answer = http.get("/", headers).unwrap_or_else(|e| panic!("{e:#}\n{}", agent.log()));
    name(&answer.text()).to_owned()
}

fn wait_followed(http: &mut Http, agent: &Agent) {
    let is_followed = eventually(SOON, || {
        assert_eq!(get(http, &[], agent), "STABLE");
        (get(http, &KEYED, agent) == "PREVIEW").then_some(())
    });
    assert!(is_followed.is_some(), "{}", agent.log());
}

fn stage() -> Option<(Stage, App)> {
    if needs_root() {
        return None;
    }
    let stage = Stage::new().unwrap();
    let app = stage.start_app().unwrap();
    Some((stage, app))
}

#[test]
fn from_the_second_request_on_without_a_pause() {
    let Some((stage, _app)) = stage() else { return };
    let mut connections = open(&stage);
    for http in &mut connections {
        assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
    }
    // And some that nobody has used yet.
    connections.extend(open(&stage));
    let agent = agent(&stage);
    wait_found(&stage, &agent, 4);
    for unkeyed in 1..4 {
        for http in &mut connections {
            for _ in 0..unkeyed {
                assert_eq!(get(http, &[], &agent), "STABLE");
            }
        }
        if unkeyed == 1 {
            // They are none of before any more.
            wait_found(&stage, &agent, 0);
            for http in &mut connections {
                assert_eq!(get(http, &KEYED, &agent), "PREVIEW", "{}", agent.log());
            }
        }
    }
    for http in &mut connections {
        assert_eq!(get(http, &KEYED, &agent), "PREVIEW");
    }
    assert_eq!(counter(&stage, "directTaken"), 4, "{}", Agent::debug_routes());
    assert_eq!(counter(&stage, "directMissed"), 0);
    assert_eq!(told(&stage, "old", "missed"), 0);
}

#[test]
fn what_is_keyed_before_that_is_missed_and_counted() {
    let Some((stage, _app)) = stage() else { return };
    let mut connections = open(&stage);
    let agent = agent(&stage);
    wait_found(&stage, &agent, 2);
    for http in &mut connections {
        assert_eq!(get(http, &KEYED, &agent), "STABLE");
        assert_eq!(get(http, &[], &agent), "STABLE");
        assert_eq!(get(http, &KEYED, &agent), "PREVIEW", "{}", agent.log());
    }
    let missed = eventually(SOON, || (told(&stage, "old", "missed") == 2).then_some(()));
    assert!(missed.is_some(), "{}", Agent::debug_routes());
    assert_eq!(counter(&stage, "directTaken"), 2);
}

#[test]
fn what_looks_like_requests_in_a_body_is_none() {
    for keyed in [false, true] {
        let Some((stage, _app)) = stage() else { return };
        let mut http = open(&stage).remove(0);
        let key = if keyed { format!("x-byway-key: {}\r\n", Stage::KEY) } else { String::new() };
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\n{key}\r\n");
        let unkeyed = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let body = [unkeyed, &head, unkeyed, &head].concat();
        let post = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
        http.send(post.as_bytes()).unwrap();
        let agent = agent(&stage);
        wait_found(&stage, &agent, 1);
        for part in [unkeyed, &head, unkeyed, &head] {
            http.send(part.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(http.response("POST").unwrap().text(), body);
        assert_eq!(counter(&stage, "directTaken"), 0, "{}", Agent::debug_routes());
        // Where it was in doubt it is looked at anew.
        wait_followed(&mut http, &agent);
    }
}

#[test]
fn also_those_of_an_agent_that_was_killed() {
    let Some((stage, _app)) = stage() else { return };
    let mut first = agent(&stage);
    let mut connections = open(&stage);
    for http in &mut connections {
        assert_eq!(get(http, &[], &first), "STABLE");
    }
    first.sigkill();
    drop(first);
    let second = agent(&stage);
    for http in &mut connections {
        wait_followed(http, &second);
    }
}
