//! Istio's sidecar and Linkerd's proxy: everything that enters or leaves a pod is redirected to it, goes from pod to pod
//! in TLS, and from the proxy to the app in plain text, over loopback.

use std::time::Duration;

use byway_api::ExistingConnections;
use byway_tests::{Agent, App, Http, Pod, Running, eventually};

use crate::{KEYED, NAME, PORT, Stage, load_rules, start};

struct Mesh {
    rules: &'static str,
    uid: &'static str,
    inbound: u16,
    outbound: u16,
    /// Where the proxy's connections to the app start.
    source: &'static str,
    /// Where they go to: none is what the client called.
    app: &'static str,
    /// What the app sees of them.
    peer: fn(&Pod) -> String,
}

const ISTIO: Mesh = Mesh {
    rules: "istio.rules",
    uid: "1337",
    inbound: 15006,
    outbound: 15001,
    source: "source 127.0.0.6",
    app: "0.0.0.0",
    peer: |_| "127.0.0.6".to_owned(),
};

const LINKERD: Mesh = Mesh {
    rules: "linkerd.rules",
    uid: "2102",
    inbound: 4143,
    outbound: 4140,
    source: "",
    app: "0.0.0.0",
    peer: |pod| pod.ipv4.to_string(),
};

/// As older versions of both did.
const TO_LOCALHOST: Mesh = Mesh { app: "127.0.0.1", peer: |_| "127.0.0.1".to_owned(), ..LINKERD };

#[test]
fn istio() {
    steers(&ISTIO);
}

#[test]
fn linkerd() {
    steers(&LINKERD);
}

#[test]
fn a_proxy_that_calls_localhost() {
    steers(&TO_LOCALHOST);
}

impl Mesh {
    /// Takes a pod into the mesh.
    fn join(&self, pod: &Pod, excluded: u16) -> Running {
        load_rules(pod, self.rules, &[("@EXCLUDED@", &excluded.to_string())]);
        let ports = [self.inbound, self.outbound].map(|port| port.to_string());
        let values = [
            ("@UID@", self.uid),
            ("@INBOUND@", &*ports[0]),
            ("@OUTBOUND@", &*ports[1]),
            ("@SOURCE@", self.source),
            ("@APP@", self.app),
        ];
        start(pod, &["haproxy", "-db", "-f", "sidecar.cfg"], "sidecar.cfg", &values, self.outbound)
    }
}

fn steers(mesh: &Mesh) {
    let Some(stage) = Stage::new() else { return };
    let _app = App::start(&stage.app, "STABLE", "0.0.0.0:8080").unwrap();
    let _preview = App::start(&stage.preview, "PREVIEW", "0.0.0.0:8080").unwrap();
    // The clone's annotations exclude the steered port from what its own proxy takes.
    let _proxies = [mesh.join(&stage.app, 1), mesh.join(&stage.client, 1), mesh.join(&stage.preview, PORT)];
    let stable = |answer: &str| answer.starts_with(&format!("STABLE {}:", (mesh.peer)(&stage.app)));

    // Without the agent, so that the proxy has a connection to the app that is older than any route.
    let mut old = users(&stage, 1);
    assert!(stable(&ask(&mut old[0], false)));
    assert!(stable(&ask(&mut old[0], true)));
    let preview = stage.preview().with(|it| it.existing_connections = ExistingConnections::DrainIdle);
    let routes = stage.routes(preview).environment("pr-1", &[&stage.client]);
    let mut agent = Agent::start(&stage.net, &routes).unwrap();
    // What was seen to be answered is drained.
    let drained = || {
        ask(&mut old[0], false);
        std::thread::sleep(Duration::from_secs(3));
        agent.metric("byway_agent_old_connections_drained_total", "").ok().filter(|&n| n >= 1.0)
    };
    assert!(eventually(Duration::from_secs(20), drained).is_some(), "{}", Agent::debug_routes());

    // Old and new users, whose requests share the proxies' connections. The environment's pods are not known by their
    // address: the app's own proxy is who calls.
    old.extend(users(&stage, 7));
    for round in 0..50 {
        for (n, user) in old.iter_mut().enumerate() {
            let keyed = (n + round) % 3 == 0;
            let answer = ask(user, keyed);
            let right = if keyed { answer.starts_with("PREVIEW ") } else { stable(&answer) };
            assert!(right, "round {round}, user {n}, keyed {keyed}: {answer}");
        }
    }
    assert!(agent.metric("byway_agent_connections_accepted_total", "").unwrap() >= 1.0);
    assert_eq!(agent.metric("byway_agent_connections_opaque_total", "").unwrap(), 0.0);

    agent.sigkill();
    let back = eventually(Duration::from_secs(10), || {
        let mut http = users(&stage, 1).remove(0);
        http.get("/", KEYED).ok().filter(|answer| stable(&answer.text()))
    });
    assert!(back.is_some(), "the app answers when the agent is gone");
}

/// Why the clone has these annotations: a proxy that wants TLS does not take the agent's plain text.
#[test]
fn a_preview_whose_proxy_takes_the_port_is_said_to_be_away() {
    let Some(stage) = Stage::new() else { return };
    let _app = App::start(&stage.app, "STABLE", "0.0.0.0:8080").unwrap();
    let _preview = App::start(&stage.preview, "PREVIEW", "0.0.0.0:8080").unwrap();
    let _proxies = [ISTIO.join(&stage.app, 1), ISTIO.join(&stage.client, 1), ISTIO.join(&stage.preview, 1)];
    let _agent = Agent::start(&stage.net, &stage.routes(stage.preview())).unwrap();
    let mut user = users(&stage, 1).remove(0);
    let answer = user.get("/", KEYED).unwrap();
    assert!(answer.status == 502 && answer.text().contains(NAME), "{answer:?}");
    assert!(ask(&mut user, false).starts_with("STABLE "));
}

fn users(stage: &Stage, count: usize) -> Vec<Http> {
    (0..count).map(|_| Http::new(stage.client.connect((stage.app.ipv4, PORT)).unwrap())).collect()
}

fn ask(user: &mut Http, keyed: bool) -> String {
    let answer = user.get("/", if keyed { KEYED } else { &[] }).unwrap();
    answer.text()
}
