//! What the agent says of itself: `debug routes`, metrics, and the layout of its maps.

use std::process::{Command, Output};
use std::time::Duration;

use byway_tests::{Agent, Stage, eventually, needs_root};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);

fn debug_routes(args: &[&str]) -> Output {
    let mut command = Command::new(Agent::binary());
    command.args(["debug", "routes"]).args(args).output().expect("`cargo xtask build` makes the agent")
}

/// The agent of this test among all that run on the machine.
fn report(pid: u32) -> Option<Value> {
    let output = debug_routes(&["--output", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    report["agents"].as_array()?.iter().find(|agent| agent["pid"] == pid).cloned()
}

fn table(node: &str) -> String {
    let text = String::from_utf8(debug_routes(&[]).stdout).unwrap();
    let mut lines = text.lines().skip_while(|line| !(line.starts_with("agent ") && line.contains(node)));
    let first = lines.next().unwrap_or_default().to_owned();
    lines.take_while(|line| line.starts_with(' ')).fold(first, |all, line| format!("{all}\n{line}"))
}

#[test]
fn debug_routes_shows_what_is_live() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let app = stage.start_app().unwrap();
    let mut agent = stage.start_agent().unwrap();
    stage.wait_answered_by("PREVIEW").unwrap();
    let here = report(agent.pid()).expect("the agent is found");
    assert_eq!((&here["alive"], &here["node"]), (&true.into(), &stage.net.node_name().into()), "{here:#}");
    let target = &here["targets"][0];
    assert_eq!(target["name"], "app");
    assert_eq!(target["listenerAlive"], true);
    let mut port = serde_json::json!({"port": 8080, "appListening": true, "mode": "direct"});
    if !Agent::goes_straight() {
        (port["mode"], port["why"]) = ("proxy".into(), "Told".into());
    }
    assert_eq!(target["ports"][0], port);
    let route = &target["routes"][0];
    assert_eq!((&route["key"], &route["preview"]), (&"pr-1".into(), &"demo/redesign".into()));
    assert!(route["requests"].as_u64().unwrap() >= 2, "{route:#}");
    let text = table(stage.net.node_name());
    for part in ["alive, heartbeat", "port 8080: app listening, agent listening", "demo/redesign", "pr-1"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }

    drop(app);
    let gone = || (report(agent.pid())?["targets"][0]["ports"][0]["appListening"] == false).then_some(());
    assert!(eventually(SOON, gone).is_some());
    assert!(table(stage.net.node_name()).contains("not listening: connections are refused"));

    // A target that takes another's place begins with no counts.
    agent.write_routes(&stage.previews()).unwrap();
    let empty = || (report(agent.pid())?["targets"].as_array()?.is_empty()).then_some(());
    assert!(eventually(Duration::from_secs(10), empty).is_some(), "{}", table(stage.net.node_name()));
    agent.write_routes(&stage.routes()).unwrap();
    let again = eventually(SOON, || report(agent.pid())?["targets"].get(0).cloned()).unwrap();
    assert_eq!(again["steered"], serde_json::json!({}), "{again:#}");
    assert_eq!(again["counters"]["accepted"], 0);

    agent.sigstop().unwrap();
    let hung = || table(stage.net.node_name()).contains("HUNG").then_some(());
    assert!(eventually(Duration::from_millis(950), hung).is_some());
    assert!(eventually(SOON, || agent.ended().unwrap()).is_some());
    assert!(eventually(SOON, || report(agent.pid()).is_none().then_some(())).is_some());
    assert_eq!(table(stage.net.node_name()), "");
}

#[test]
fn debug_routes_says_when_no_agent_runs() {
    if needs_root() {
        return;
    }
    // Others may run on this machine: then there is nothing to see here.
    let none = |output: &Output| String::from_utf8_lossy(&output.stdout).contains("No byway agent runs");
    let output = debug_routes(&[]);
    assert_eq!(none(&output), output.status.code() == Some(2), "{output:?}");
    let json = debug_routes(&["--output", "json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["agents"].as_array().unwrap().is_empty(), json.status.code() == Some(2), "{json:?}");
}

#[test]
fn metrics_are_open_metrics() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let agent = stage.start_agent().unwrap();
    stage.wait_answered_by("PREVIEW").unwrap();
    let response = agent.get("/metrics").unwrap();
    assert!(response.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = response.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut families: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.iter().all(|(n, _)| n != name), "{name} comes twice");
            families.push((name.to_owned(), kind.to_owned()));
        } else if let Some(rest) = line.strip_prefix("# HELP ").or(line.strip_prefix("# UNIT ")) {
            assert!(rest.contains(' '), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            value.parse::<f64>().unwrap_or_else(|e| panic!("{line:?}: {e}"));
            let name = sample.split('{').next().unwrap();
            let (family, kind) = families.last().unwrap();
            let expected = if kind == "counter" { format!("{family}_total") } else { family.clone() };
            assert_eq!(name, expected, "{line}");
        }
    }
    assert!(families.len() > 8, "{families:?}");
    let before = agent.metric("byway_agent_connections_accepted_total", "").unwrap();
    agent.write_routes(&stage.previews()).unwrap();
    let detached = || (agent.metric("byway_agent_targets", "").ok()? == 0.0).then_some(());
    assert!(eventually(SOON, detached).is_some());
    // Counters only grow, also when targets go.
    let after = agent.metric("byway_agent_connections_accepted_total", "").unwrap();
    assert!(before > 0.0 && after >= before, "{before} {after}");
    assert_eq!(agent.get("/nowhere").unwrap().status, 404);
}

#[test]
fn without_kernel_btf_nothing_is_steered_and_that_is_said() {
    if needs_root() {
        return;
    }
    let run = "mount --bind /dev/null /sys/kernel/btf/vmlinux && exec \"$0\" --routes /dev/null --admin 127.0.0.1:0";
    let output =
        Command::new("unshare").args(["--mount", "sh", "-c", run]).arg(Agent::binary()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("NoBtf") && said.contains("does not steer"), "{said}");
}
