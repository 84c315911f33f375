//! What a conforming server does, it does behind the agent too: h2spec against Go's server, with and without.

use std::collections::BTreeSet;
use std::fs;

use byway_tests::{Agent, Peers, Scratch};

use crate::{KEY, PORT, Stage};

#[test]
fn no_case_of_h2spec_fails_because_of_the_agent() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let direct = failures(&stage);
    // Home is the app, and where the connection comes from the environment the preview.
    let routes = stage.routes(|preview| preview);
    for routes in [routes.clone(), routes.environment(KEY.1, &[&stage.client])] {
        let _agent = Agent::start(&stage.net, &routes).unwrap();
        let mut new: Vec<_> = failures(&stage).difference(&direct).cloned().collect();
        // What a case does to a stream may come when the server has just answered it (6.9.1), also directly: what is
        // the agent's fault fails each time.
        for _ in 0..3 {
            if !new.is_empty() {
                let again = failures(&stage);
                new.retain(|case| again.contains(case));
            }
        }
        assert!(new.is_empty(), "{new:#?}\nalso directly: {direct:#?}");
    }
}

/// The cases that fail.
fn failures(stage: &Stage) -> BTreeSet<String> {
    let scratch = Scratch::new("h2spec").unwrap();
    let report = scratch.path().join("report.xml");
    let mut command = stage.client.command(Peers::Http2.program("h2spec").unwrap());
    command.args(["-h", &stage.app.ipv4.to_string(), "-p", &PORT.to_string(), "-o", "5", "-j"]).arg(&report);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(" tests, "), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let report = fs::read_to_string(&report).unwrap();
    let cases: Vec<&str> = report.split("<testcase ").skip(1).collect();
    assert!(cases.len() > 100, "{} cases", cases.len());
    let failed = cases.iter().filter(|case| case.contains("<failure") || case.contains("<error"));
    let attribute = |case: &str, name: &str| {
        let value = case.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
        value.map_or_else(String::new, |(value, _)| value.to_owned())
    };
    failed.map(|case| format!("{}: {}", attribute(case, "package"), attribute(case, "classname"))).collect()
}
