//! A proxy beside the app that ends TLS at a port of its own, and calls the app on loopback: no redirection at all.

use byway_tests::{Agent, App};

use crate::{PORT, Stage, start};

const TLS: u16 = 8443;

#[test]
fn requests_that_came_in_tls_are_steered_behind_the_proxy() {
    let Some(stage) = Stage::new() else { return };
    let _app = App::start(&stage.app, "STABLE", "127.0.0.1:8080").unwrap();
    let _proxy =
        start(&stage.app, &["nginx", "-c", "terminator.conf", "-p", "."], "terminator.conf", &[], TLS);
    // The port that Services send to, and the app's own.
    let mut routes = stage.routes(stage.preview());
    routes.0.targets[0].ports = vec![PORT, TLS];
    let agent = Agent::start(&stage.net, &routes).unwrap();

    // The agent comes from another pod: an app that listens on loopback alone cannot be reached in its preview.
    let local = App::start(&stage.preview, "PREVIEW", "127.0.0.1:8080").unwrap();
    let answer = ask(&stage, &["-H", "x-byway-key: pr-1"]);
    assert!(answer.contains("demo/redesign could not be reached"), "{answer}");
    drop(local);

    let _preview = App::start(&stage.preview, "PREVIEW", "0.0.0.0:8080").unwrap();
    for _ in 0..10 {
        assert!(ask(&stage, &[]).starts_with("STABLE 127.0.0.1:"));
        assert!(ask(&stage, &["-H", "x-byway-key: pr-1"]).starts_with("PREVIEW "));
        assert!(ask(&stage, &["-H", "x-byway-key: pr-12"]).starts_with("STABLE 127.0.0.1:"));
    }
    // What comes to the proxy is TLS, and is passed through.
    let tls = agent.metric("byway_agent_connections_opaque_total", r#"reason="Tls""#).unwrap();
    assert_eq!(tls, 31.0, "{}", Agent::debug_routes());
}

fn ask(stage: &Stage, args: &[&str]) -> String {
    let to = format!("https://{}:{TLS}/", stage.app.ipv4);
    let output =
        stage.client.command("curl").args(["-sk", "--max-time", "20", &to]).args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
