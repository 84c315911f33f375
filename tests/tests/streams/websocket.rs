//! WebSockets of two libraries, gorilla's as the server and coder's as the client, through the agent.

use std::process::Command;

use byway_tests::{Peers, Pod, Running};

use crate::{NAME, PORT, Stage};

fn serve(pod: &Pod, name: &str) -> Running {
    let mut command = pod.command(Peers::WebSocket.program("websocket-server").unwrap());
    let mut server = Running::spawn("websocket", command.args([name, &format!(":{PORT}")])).unwrap();
    server.wait_listening(PORT).unwrap();
    server
}

/// Runs every case of the client, and fails with the first that fails.
fn every_case(stage: &Stage, address: &str, name: &str, header: &[&str]) {
    let mut command = stage.client.command(Peers::WebSocket.program("websocket-client").unwrap());
    let output = ran(command.args([&format!("ws://{address}:{PORT}"), name]).args(header));
    assert_eq!(output.matches("passed ").count(), 13, "{address} {name} {header:?}:\n{output}");
    assert!(!output.contains("FAILED"), "{address} {name} {header:?}:\n{output}");
}

fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn every_case_passes_keyed_and_unkeyed() {
    let Some(stage) = Stage::new() else { return };
    let _servers = [serve(&stage.app, "APP"), serve(&stage.preview, "PREVIEW")];
    let (v4, v6) = (stage.app.ipv4.to_string(), format!("[{}]", stage.app.ipv6));
    every_case(&stage, &v4, "APP", &["x-byway-key", "pr-1"]); // as it is without the agent
    let agent = stage.agent();
    every_case(&stage, &v4, "APP", &[]);
    every_case(&stage, &v6, "APP", &["cookie", "session=1; byway-key=pr-12"]);
    every_case(&stage, &v4, "PREVIEW", &["x-byway-key", "pr-1", NAME]);
    every_case(&stage, &v6, "PREVIEW", &["cookie", "session=1; byway-key=pr-1", NAME]);
    every_case(&stage, &v4, "PREVIEW", &["baggage", "byway-key=pr-1", NAME]);
    assert_eq!(agent.metric("byway_agent_connections_opaque_total", "").unwrap(), 0.0);
}
