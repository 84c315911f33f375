//! Whose request it is, and how that changes.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use byway_api::Match;
use byway_tests::{Agent, Preview, Routes, eventually};

use crate::{KEYED, NAME, SOON, Stage, server::PORT};

fn who(http: &mut byway_tests::Http, path: &str, headers: &[(&str, &str)]) -> String {
    http.get(path, headers).unwrap().text().split(' ').next().unwrap().to_owned()
}

fn matching(json: serde_json::Value) -> Match {
    serde_json::from_value(json).unwrap()
}

#[test]
fn the_key_is_found_in_every_carrier_and_only_as_a_whole() {
    let Some(stage) = Stage::named() else { return };
    let agent = stage.agent();
    let mut http = stage.http();
    for (name, value, expected) in [
        ("x-byway-key", "pr-1", "PREVIEW"),
        ("X-Byway-Key", "pr-1", "PREVIEW"),
        ("baggage", "a=b, byway-key = pr-1;x=y", "PREVIEW"),
        ("baggage", "byway-key=pr%2D1", "PREVIEW"),
        ("cookie", "a=b; byway-key=pr-1; c=d", "PREVIEW"),
        ("x-byway-key", "pr-12", "APP"),
        ("x-byway-key", "pr-", "APP"),
        ("x-byway-key", "PR-1", "APP"),
        ("baggage", "byway-key=pr-12", "APP"),
        ("cookie", "not-byway-key=pr-1", "APP"),
        ("x-other", "pr-1", "APP"),
    ] {
        assert_eq!(who(&mut http, "/", &[(name, value)]), expected, "{name}: {value}");
    }
    assert_eq!(agent.metric("byway_agent_unknown_keys_total", "").unwrap(), 3.0);
}

#[test]
fn a_preview_gets_the_requests_of_its_own_ports_only() {
    let Some(stage) = Stage::named() else { return };
    let other_port = PORT + 1;
    let routes = Routes::new()
        .preview(stage.preview().with(|p| p.ports = vec![other_port]))
        .preview(Preview::new("staging/other", "pr-2").backend(&stage.other))
        .target(&stage.app, &[PORT, other_port], &[NAME, "staging/other"]);
    let agent = Agent::start(&stage.net, &routes).unwrap();
    let mut http = stage.http();
    assert_eq!(who(&mut http, "/", &[("x-byway-key", "pr-1")]), "APP", "it is for the other port");
    assert_eq!(who(&mut http, "/", &[("x-byway-key", "pr-2")]), "OTHER");

    let both = Routes::new()
        .preview(stage.preview().with(|p| p.ports = vec![other_port, PORT]))
        .preview(Preview::new("staging/other", "pr-2").backend(&stage.other))
        .target(&stage.app, &[PORT, other_port], &[NAME, "staging/other"]);
    agent.write_routes(&both).unwrap();
    let followed =
        eventually(SOON, || (who(&mut http, "/", &[("x-byway-key", "pr-1")]) == "PREVIEW").then_some(()));
    assert!(followed.is_some());
}

#[test]
fn a_match_narrows_and_names_carriers() {
    let Some(stage) = Stage::named() else { return };
    let by_header = matching(serde_json::json!({
        "header": { "name": "x-tenant", "exact": "{{ key }}" }, "path": { "prefix": "/api" }, "method": "GET",
    }));
    let by_filter = matching(serde_json::json!({ "headerFilter": "^x-filter: .*{{ key }}" }));
    let routes = Routes::new()
        .preview(stage.preview().with(|p| p.match_ = Some(by_header)))
        .preview(
            Preview::new("staging/other", "pr-2").backend(&stage.other).with(|p| p.match_ = Some(by_filter)),
        )
        .target(&stage.app, &[PORT], &[NAME, "staging/other"]);
    let _agent = Agent::start(&stage.net, &routes).unwrap();
    let mut http = stage.http();
    for (path, name, value, expected) in [
        ("/api/x", "X-Tenant", "pr-1", "PREVIEW"),
        ("/apix", "x-tenant", "pr-1", "APP"),
        ("/api", "x-tenant", "pr-12", "APP"),
        ("/api", "x-byway-key", "pr-1", "APP"),
        ("/", "X-Filter", "a pr-2 b", "OTHER"),
        ("/", "x-filter", "a pr-22 b", "APP"),
        ("/", "x-filter", "pr-1", "APP"),
    ] {
        assert_eq!(who(&mut http, path, &[(name, value)]), expected, "{path} {name}: {value}");
    }
}

#[test]
fn the_first_of_two_routes_gets_the_request() {
    let Some(stage) = Stage::named() else { return };
    let narrow = matching(serde_json::json!({
        "header": { "name": "x-byway-key", "exact": "{{ key }}" }, "path": { "prefix": "/api" },
    }));
    let routes = Routes::new()
        .preview(
            Preview::new("staging/other", "pr-1").backend(&stage.other).with(|p| p.match_ = Some(narrow)),
        )
        .preview(stage.preview())
        .target(&stage.app, &[PORT], &[NAME, "staging/other"]);
    let _agent = Agent::start(&stage.net, &routes).unwrap();
    let mut http = stage.http();
    assert_eq!(who(&mut http, "/api", KEYED), "OTHER");
    assert_eq!(who(&mut http, "/", KEYED), "PREVIEW");
    let mut debug = std::process::Command::new(Agent::binary());
    let out = debug.args(["debug", "routes", "--output", "json"]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let overlapped =
        text.lines().filter(|line| line.contains("\"overlapped\": 1") || line.contains("\"overlapped\":1"));
    assert!(overlapped.count() >= 1, "{text}");
}

#[test]
fn what_a_match_keeps_away_is_counted() {
    let Some(stage) = Stage::named() else { return };
    let narrow = matching(serde_json::json!({
        "header": { "name": "x-byway-key", "exact": "{{ key }}" }, "path": { "prefix": "/api" },
    }));
    let routes = Routes::new().preview(stage.preview().with(|p| p.match_ = Some(narrow))).target(
        &stage.app,
        &[PORT],
        &[NAME],
    );
    let agent = Agent::start(&stage.net, &routes).unwrap();
    let mut http = stage.http();
    assert_eq!(who(&mut http, "/", KEYED), "APP");
    assert_eq!(who(&mut http, "/api", KEYED), "PREVIEW");
    assert_eq!(who(&mut http, "/", &[]), "APP");
    let status = || serde_json::from_slice::<serde_json::Value>(&agent.get("/status").unwrap().body).unwrap();
    let told = || {
        let counts = &status()["requests"][0];
        (counts["requests"] == 1 && counts["narrowed"] == 1).then_some(())
    };
    assert!(eventually(SOON, told).is_some(), "{:#}", status());
    assert!(Agent::debug_routes().contains("1, 1 narrowed"), "{}", Agent::debug_routes());
}

#[test]
fn a_preview_ends_on_time() {
    let Some(stage) = Stage::named() else { return };
    // The verifier takes a second, and on a busy machine some, for the programs of direct connections.
    let soon = Duration::from_secs(if Agent::goes_straight() { 8 } else { 3 });
    let end = SystemTime::now() + soon;
    let agent = stage.agent_with(stage.preview().with(|p| p.expires_at = Some(end.try_into().unwrap())));
    let mut http = stage.http();
    assert_eq!(who(&mut http, "/", KEYED), "PREVIEW");
    while SystemTime::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    let over = eventually(SOON, || (who(&mut http, "/", KEYED) == "APP").then_some(()));
    assert!(over.is_some(), "{}", agent.log());
}

#[test]
fn an_open_connection_follows_the_routes() {
    let Some(stage) = Stage::named() else { return };
    let routes = stage.routes(stage.preview());
    let agent = Agent::start(&stage.net, &routes).unwrap();
    let mut http = stage.http();
    let other = stage.routes(Preview::new(NAME, "pr-1").backend(&stage.other));
    let another_key = stage.routes(Preview::new(NAME, "pr-2").backend(&stage.preview));
    for (routes, expected) in [(&other, "OTHER"), (&another_key, "APP"), (&routes, "PREVIEW")] {
        agent.write_routes(routes).unwrap();
        let until = Instant::now() + SOON;
        while who(&mut http, "/", KEYED) != expected {
            assert!(Instant::now() < until, "never {expected}:\n{}", agent.log());
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(who(&mut http, "/", &[]), "APP");
    }
}
