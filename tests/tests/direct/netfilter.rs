//! Pods with rules of iptables of their own: what the rules say of a port must hold, and nobody waits for it.

use std::{
    thread,
    time::{Duration, Instant},
};

use byway_tests::{Agent, App, Http, Server, Stage, eventually, needs_root};

use super::{KEYED, counter, name, start, steered};

/// Lets in what goes to the app's port, and what belongs to it; of all else nothing gets through.
const STRICT: [&str; 3] = [
    "-A INPUT -p tcp --dport 8080 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -p tcp -j DROP",
];
/// The same without loopback, which an app alone does not need.
const STRICTER: [&str; 2] = ["-A INPUT -i eth0 -p tcp --dport 8080 -j ACCEPT", "-A INPUT -p tcp -j DROP"];
/// As a mesh does, but for the port of its own proxy.
const REDIRECTED: [&str; 1] = ["-t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 9090"];

fn load(stage: &Stage, rules: &[&str]) {
    for rule in rules {
        for program in ["iptables", "ip6tables"] {
            let status = stage.app.command(program).args(rule.split(' ')).status().unwrap();
            assert!(status.success(), "{program} {rule}");
        }
    }
}

fn ways(agent: &Agent) -> String {
    let status: serde_json::Value = serde_json::from_slice(&agent.get("/status").unwrap().body).unwrap();
    status["targets"][0]["ways"].to_string()
}

#[test]
fn where_only_the_apps_port_is_let_in_keys_work_through_the_agent() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    load(&stage, &STRICT);
    let agent = stage.agent().args(["--mode", "auto"]).start(&stage.routes()).unwrap();
    for to in stage.addresses() {
        let mut http = Http::new(stage.client.connect(to).unwrap());
        for (key, answer) in [(&[][..], "STABLE"), (&KEYED, "PREVIEW"), (&[], "STABLE")] {
            assert_eq!(name(&http.get("/", key).unwrap().text()), answer, "{to}: {}", agent.log());
        }
    }
    assert_eq!(ways(&agent), r#"{"Netfilter":[8080]}"#, "{}", agent.log());
    let flushed = stage.app.command("nft").args(["flush", "ruleset"]).status().unwrap();
    assert!(flushed.success());
    let is_direct =
        eventually(Duration::from_secs(5), || (ways(&agent) == r#"{"Direct":[8080]}"#).then_some(()));
    assert!(is_direct.is_some(), "{}", ways(&agent));
}

#[test]
fn rules_that_come_later_leave_a_straight_connection_to_the_app() {
    if needs_root() {
        return;
    }
    for family in [0, 1] {
        let stage = Stage::new().unwrap();
        let _app = stage.start_app().unwrap();
        let agent = stage.agent().args(["--mode", "auto"]).start(&stage.routes()).unwrap();
        let to = stage.addresses()[family];
        // One that a late agent takes from its start is not straight.
        let straight = || {
            let before = steered(&stage);
            let mut http = Http::new(stage.client.connect(to).unwrap());
            assert_eq!(name(&http.get("/", &[]).unwrap().text()), "STABLE");
            (steered(&stage) == before).then_some(http)
        };
        let mut http = eventually(Duration::from_secs(20), straight).unwrap();
        load(&stage, &STRICT);
        for key in [&KEYED[..], &[]] {
            let begun = Instant::now();
            assert_eq!(name(&http.get("/", key).unwrap().text()), "STABLE", "{}", agent.log());
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
        assert_eq!(counter(&stage, "directMissed"), 1, "{}", Agent::debug_routes());
        let steered = || (name(&stage.ask(to, Some(Stage::KEY)).ok()?.text()) == "PREVIEW").then_some(());
        assert!(eventually(Duration::from_secs(5), steered).is_some(), "{}", agent.log());
    }
}

/// No connection can be served: so it is said, and nobody is kept from the app.
#[test]
fn where_the_agent_does_not_reach_the_app_connections_stay_with_it() {
    if needs_root() {
        return;
    }
    for is_first in [true, false] {
        let stage = Stage::new().unwrap();
        let _app = start(&stage, Server::Nginx);
        if is_first {
            load(&stage, &STRICTER);
        }
        let agent = stage.agent().args(["--mode", "auto"]).start(&stage.routes()).unwrap();
        if !is_first {
            stage.wait_answered_by("PREVIEW").unwrap();
            load(&stage, &STRICTER);
        }
        for n in 0..60 {
            let begun = Instant::now();
            let key = if n % 2 == 0 { None } else { Some(Stage::KEY) };
            let answer = stage.ask(stage.addresses()[n / 2 % 2], key).unwrap();
            assert_eq!(name(&answer.text()), "STABLE", "{n}: {}", Agent::debug_routes());
            assert!(begun.elapsed() < Duration::from_secs(1), "{n}: {:?}", begun.elapsed());
            thread::sleep(Duration::from_millis(50));
        }
        let status: serde_json::Value = serde_json::from_slice(&agent.get("/status").unwrap().body).unwrap();
        assert_eq!(status["previews"][0]["failures"][0]["reason"], "Blocked", "{status:#}");
    }
}

/// Its socket is not where its packets say, so there is nothing to take over, and nothing to end.
#[test]
fn a_connection_that_is_redirected_is_whose_it_is() {
    if needs_root() {
        return;
    }
    for family in [0, 1] {
        let stage = Stage::new().unwrap();
        let _app = stage.start_app().unwrap();
        let _proxy = App::start(&stage.app, "PROXY", "[::]:9090").unwrap();
        let agent = stage.agent().args(["--mode", "auto"]).start(&stage.routes()).unwrap();
        stage.wait_answered_by("PREVIEW").unwrap();
        load(&stage, &REDIRECTED);
        // The first of them may be followed still.
        for _ in 0..20 {
            let begun = Instant::now();
            let mut http = Http::new(stage.client.connect(stage.addresses()[family]).unwrap());
            for key in [&KEYED[..], &[], &KEYED] {
                assert_eq!(name(&http.get("/", key).unwrap().text()), "PROXY", "{}", agent.log());
            }
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
            thread::sleep(Duration::from_millis(50));
        }
    }
}
