//! Gateways that keep a few connections to the app and send the requests of all users over them: each request gets to
//! the version that its own key asks for, and each answer to the user who asked.

mod server;
mod users;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use byway_tests::{Agent, Net, Pod, Preview, Routes, Running, Scratch, needs_root};
use serde_json::Value;
use server::Server;
use users::{PassedOn, Version};

/// Where the app and its previews listen.
const PORT: u16 = 8080;
/// Where the gateway listens.
const GATEWAY: u16 = 8000;
/// Answers that are looked at.
const ANSWERS: usize = 100_000;
const APPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/gateways");

/// What stands before the app.
struct Gateway {
    /// Its name, by which it is found unless `built` says where it is.
    program: &'static str,
    built: Option<fn() -> Result<PathBuf>>,
    config: &'static str,
    args: &'static [&'static str],
    /// How it passes requests on to the app, in its own words.
    pass: &'static str,
    family: fn(&Pod) -> IpAddr,
}

const NGINX: Gateway = Gateway {
    program: "nginx",
    built: None,
    config: "nginx.conf",
    args: &["-c", "nginx.conf", "-p", "."],
    pass: "proxy_pass http://app;",
    family: |pod| pod.ipv4.into(),
};
const HAPROXY: Gateway = Gateway {
    program: "haproxy",
    built: None,
    config: "haproxy.cfg",
    args: &["-db", "-f", "haproxy.cfg"],
    pass: "",
    family: |pod| pod.ipv6.into(),
};

const ENVOY: Gateway = Gateway {
    program: "envoy",
    built: Some(byway_tests::envoy),
    config: "envoy.yaml",
    args: &[
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "--log-level",
        "error",
        "--config-path",
        "envoy.yaml",
    ],
    pass: "http2_protocol_options: {}",
    family: |pod| pod.ipv4.into(),
};

#[test]
fn nginx_mixes_users_and_no_answer_is_swapped() {
    mixes_users(&NGINX, Server::start);
}

#[test]
fn haproxy_mixes_users_and_no_answer_is_swapped() {
    mixes_users(&HAPROXY, Server::start);
}

/// With servers nginx speaks it only so; it does not mind what is no gRPC.
#[test]
fn nginx_mixes_users_over_http2_and_no_answer_is_swapped() {
    mixes_users(&Gateway { pass: "grpc_pass grpc://app;", ..NGINX }, Server::start_http2);
}

#[test]
fn haproxy_mixes_users_over_http2_and_no_answer_is_swapped() {
    mixes_users(&Gateway { pass: "proto h2", ..HAPROXY }, Server::start_http2);
}

#[test]
fn envoy_mixes_users_over_http2_and_no_answer_is_swapped() {
    mixes_users(&ENVOY, Server::start_http2);
}

fn mixes_users(gateway: &Gateway, serve: fn(&Pod, Version) -> Server) {
    if needs_root() {
        return;
    }
    let program = gateway.program;
    let net = Net::new().unwrap();
    let [app, first, second, front, users] = &net.pods(["app", "first", "second", "front", "users"]).unwrap();
    let servers = [(app, Version::App), (first, Version::First), (second, Version::Second)]
        .map(|(pod, version)| serve(pod, version));
    let preview =
        |version: Version, pod| Preview::new(version.preview().unwrap(), version.key()).backend(pod);
    let routes = Routes::new()
        .preview(preview(Version::First, first))
        .preview(preview(Version::Second, second))
        .target(app, &[PORT], &["demo/first", "demo/second"]);
    let agent = Agent::builder(&net).args(["--max-backlog", "4096"]).start(&routes).unwrap();

    let upstream = SocketAddr::new((gateway.family)(app), PORT);
    let listen = SocketAddr::new((gateway.family)(front), GATEWAY);

    // A machine that gives the agent no processor for long has the kernel pass connections on to the app. That is as it
    // should be, and says nothing of who got which answer.
    let answers = (0..3).find_map(|_| {
        let _gateway = gateway.start(front, listen, upstream);
        let begun = Instant::now();
        match users::ask(users, listen, ANSWERS) {
            Ok(answers) => {
                eprintln!("{program}: {answers:?} answers in {:.1?}", begun.elapsed());
                Some(answers)
            }
            Err(error) if error.is::<PassedOn>() && passed_on(&agent) => {
                eprintln!("!!! the kernel passed connections on, so once more: {error:#}");
                None
            }
            Err(error) => panic!("{error:#}\n{}", Agent::debug_routes()),
        }
    });
    let answers = answers.expect("a machine that is less busy");
    let upstreams = agent.metric("byway_agent_connections_accepted_total", "").unwrap();
    let used: usize = servers.iter().map(Server::connections).sum();
    eprintln!("{program}: {upstreams} connections, and {used} behind the agent");
    assert_eq!(answers.iter().sum::<usize>(), ANSWERS);
    assert!(answers.iter().all(|&n| n > ANSWERS / 10), "{answers:?}");
    // A connection that carries the requests of one version only is used once behind the agent.
    assert!(used as f64 > 2.0 * upstreams, "{used} connections behind {upstreams}: users were not mixed");
    assert_eq!(agent.metric("byway_agent_connections_opaque_total", "").unwrap(), 0.0);
}

/// Whether connections went to the app by themselves.
fn passed_on(agent: &Agent) -> bool {
    let output =
        Command::new(Agent::binary()).args(["debug", "routes", "--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let agents = report["agents"].as_array().expect("a list");
    let ours = agents.iter().find(|it| it["pid"] == agent.pid()).expect("the agent");
    let steered = ours["targets"][0]["steered"].as_object().expect("counts");
    steered.iter().any(|(reason, n)| reason != "Steered" && reason != "Dial" && n.as_u64() != Some(0))
}

impl Gateway {
    fn start(&self, pod: &Pod, listen: SocketAddr, app: SocketAddr) -> Running {
        let folder = Scratch::new(self.program).unwrap();
        let text = fs::read_to_string(Path::new(APPS).join(self.config)).unwrap();
        let text = text.replace("@LISTEN@", &listen.to_string()).replace("@APP@", &app.to_string());
        let addresses = [("@LISTEN_IP@", listen.ip()), ("@APP_IP@", app.ip())];
        let text = addresses.iter().fold(text, |text, (mark, ip)| text.replace(mark, &ip.to_string()));
        fs::write(folder.path().join(self.config), text.replace("@PASS@", self.pass)).unwrap();
        let program = self.built.map_or_else(|| self.program.into(), |built| built().unwrap());
        let mut command = pod.command(program);
        command.args(self.args).current_dir(folder.path());
        let mut running = Running::spawn(self.program, &mut command).unwrap().keeping(folder);
        running.wait_listening(GATEWAY).unwrap();
        running
    }
}
