//! gRPC's own interoperability tests (<https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md>), as
//! far as they need neither TLS nor a cloud.

use std::thread::sleep;
use std::time::Duration;

use byway_api::ExistingConnections;
use byway_tests::shop::Pool;
use byway_tests::{Agent, Peers, Pod, Running, eventually};

use crate::{KEY, PORT, SOON, Stage, decided, opaque};

const CASES: [&str; 14] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
];

fn serve(pod: &Pod) -> Running {
    let mut command = pod.command(Peers::Http2.program("grpc-server").unwrap());
    let mut server = Running::spawn("grpc", command.arg(format!("-port={PORT}"))).unwrap();
    server.wait_listening(PORT).unwrap();
    server
}

#[test]
fn every_case_passes_keyed_and_unkeyed() {
    let Some(stage) = Stage::new() else { return };
    let _servers = [serve(&stage.app), serve(&stage.preview)];
    let agent = stage.agent();
    let client = Peers::Http2.program("grpc-client").unwrap();
    let server = format!("-server_host={}", stage.app.ipv4);
    let port = format!("-server_port={PORT}");
    let key = format!("-additional_metadata={}:{}", KEY.0, KEY.1);
    for case in CASES {
        let case = format!("-test_case={case}");
        for (to, key) in [("app", None), ("preview", Some(key.as_str()))] {
            let before = (decided(&agent, "app"), decided(&agent, "preview"));
            let args: Vec<&str> = [&*server, &*port, &*case].into_iter().chain(key).collect();
            stage.run(client.to_str().unwrap(), &args);
            let after = (decided(&agent, "app"), decided(&agent, "preview"));
            let new = (after.0 > before.0, after.1 > before.1);
            let sent = (to == "app", to == "preview");
            // A deadline of a millisecond may pass before anything is sent, and so may a client that gives up.
            let gives_up = case.ends_with("sleeping_server") || case.ends_with("cancel_after_begin");
            assert!(new == sent || (gives_up && new == (false, false)), "{case} {to}: {before:?} {after:?}");
        }
    }
    assert_eq!(opaque(&agent, "Http2"), 0.0);
}

/// Calls of both kinds in turn and at once, over one connection. The client looks at who answered each.
#[test]
fn calls_with_and_without_the_key_share_a_channel() {
    const ROUNDS: &str = "20";
    let Some(stage) = Stage::new() else { return };
    let _servers = [serve(&stage.app), serve(&stage.preview)];
    let agent = stage.agent();
    let client = Peers::Http2.program("grpc-mixed").unwrap();
    let told = stage.run(client.to_str().unwrap(), &[&stage.to().to_string(), KEY.0, KEY.1, ROUNDS]);
    let checked: Vec<u32> = told.split_whitespace().map(|count| count.parse().unwrap()).collect();
    eprintln!("{checked:?} answers, without the key and with it");
    assert!(matches!(checked[..], [app, preview] if app == preview && app > 200), "{told}");
    assert_eq!(agent.metric("byway_agent_connections_accepted_total", "").unwrap(), 1.0, "one channel");
    assert_eq!(opaque(&agent, "Http2"), 0.0);
}

/// Of a channel whose calls were not seen from the first one on, nobody knows which are still open.
#[test]
fn a_channel_that_had_calls_before_is_not_drained_whatever_it_waits_for() {
    let Some(stage) = Stage::new() else { return };
    let _servers = [serve(&stage.app), serve(&stage.preview)];
    let mut channel = channel(&stage);
    assert_eq!(channel.ask().unwrap(), "app");
    let agent = draining(&stage);
    wait_old(&agent, 1.0);
    for call in ["late", "stream", ""] {
        assert_eq!(channel.ask_for(call).unwrap(), "app", "{call}");
    }
    sleep(Duration::from_secs(4));
    wait_old(&agent, 1.0);
    assert_eq!(drained(&agent), 0.0);
}

/// Of one that was only connected all calls are known: it is drained when they have ended.
#[test]
fn a_channel_without_a_call_is_drained_after_its_first_and_no_call_fails() {
    let Some(stage) = Stage::new() else { return };
    let _servers = [serve(&stage.app), serve(&stage.preview)];
    for call in ["", "late", "stream"] {
        let mut channel = channel(&stage);
        assert_eq!(channel.ask_for("connect").unwrap(), "connected");
        let mut agent = draining(&stage);
        wait_old(&agent, 1.0);
        sleep(Duration::from_secs(4));
        wait_old(&agent, 1.0);
        assert_eq!(channel.ask_for(call).unwrap(), "app", "{call}");
        wait_old(&agent, 0.0);
        assert_eq!(drained(&agent), 1.0);
        assert_eq!(channel.ask().unwrap(), "preview");
        assert_eq!(channel.ask_for(call).unwrap(), "preview");
        drop(channel);
        agent.stop().unwrap();
    }
}

fn channel(stage: &Stage) -> Pool {
    let mut command = stage.client.command(Peers::Http2.program("grpc-channel").unwrap());
    command.args([&stage.to().to_string(), KEY.0, KEY.1]);
    Pool::start(command).unwrap()
}

fn draining(stage: &Stage) -> Agent {
    let drains = stage.routes(|it| it.with(|it| it.existing_connections = ExistingConnections::DrainIdle));
    Agent::start(&stage.net, &drains).unwrap()
}

fn wait_old(agent: &Agent, wanted: f64) {
    let open = || (agent.metric("byway_agent_old_connections", "").ok()? == wanted).then_some(());
    assert!(eventually(SOON, open).is_some(), "not {wanted}: {}", Agent::debug_routes());
}

fn drained(agent: &Agent) -> f64 {
    agent.metric("byway_agent_old_connections_drained_total", "").unwrap()
}
