//! Connections that go straight to the app, and are taken over when a request is keyed.

mod aliases;
mod cases;
mod death;
mod joined;
mod netfilter;
mod takeovers;

use std::net::SocketAddr;

use byway_tests::{Agent, Running, Server, Stage};

const KEYED: [(&str, &str); 1] = [("x-byway-key", Stage::KEY)];

fn agent(stage: &Stage) -> Agent {
    stage.agent().args(["--mode", "direct"]).start(&stage.routes()).unwrap()
}

/// The server in the app's pod, as the stable version.
fn start(stage: &Stage, server: Server) -> Running {
    let mut app = server.start(&stage.app, "STABLE", any_address(), &[]).unwrap();
    app.wait_listening(Stage::PORT).unwrap();
    app
}

fn name(answer: &str) -> &str {
    answer.split(' ').next().unwrap_or_default()
}

/// What `debug routes` says of the only target.
fn counter(stage: &Stage, name: &str) -> u64 {
    told(stage, "counters", name)
}

/// Connections that went through the agent from their start: on a machine that is too busy to run it in time.
fn steered(stage: &Stage) -> u64 {
    told(stage, "steered", "Steered")
}

fn told(stage: &Stage, table: &str, name: &str) -> u64 {
    let mut debug = std::process::Command::new(Agent::binary());
    let output = debug.args(["debug", "routes", "-o", "json", "--node", stage.net.node_name()]).output();
    let report: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let targets =
        report["agents"].as_array().unwrap().iter().flat_map(|it| it["targets"].as_array().unwrap());
    targets.filter_map(|it| it[table][name].as_u64()).sum()
}

/// Of sockets at a port of the pod, by state (`/proc/net/tcp`).
fn sockets(pod: &byway_tests::Pod, port: u16) -> Vec<String> {
    let tables = ["tcp", "tcp6"]
        .map(|it| pod.run(move || std::fs::read_to_string(format!("/proc/thread-self/net/{it}"))).unwrap());
    let local = format!(":{port:04X}");
    let lines = tables.iter().flat_map(|it| it.lines().skip(1));
    let columns = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns.filter(|it| it[1].ends_with(&local)).map(|it| it[3].to_owned()).collect()
}

const CLOSE_WAIT: &str = "08";
const LAST_ACK: &str = "09";

fn any_address() -> SocketAddr {
    "[::]:8080".parse().unwrap()
}
