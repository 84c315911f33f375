//! An agent is replaced, or dies again and again, under all kinds of traffic at once: no request fails, none gets the
//! wrong version, and only what outlives the drain is cut.

mod begin;
mod clients;
mod crash;
mod drain;
mod farewell;
mod load;
mod server;
mod transfers;
mod tunnels;

use std::net::SocketAddr;
use std::time::Duration;

use byway_tests::{Agent, Net, Peers, Pod, Preview, Routes, Running};

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// The server beside this file.
const PORT: u16 = 8080;
/// Go's, of both versions of HTTP.
const GO: u16 = 8081;
const GRPC: u16 = 8082;
const NAME: &str = "staging/redesign";
const KEY: &str = "pr-1";

/// A node with an app, its preview and a client.
struct Stage {
    app: Pod,
    preview: Pod,
    client: Pod,
    net: Net,
}

impl Stage {
    fn new() -> Option<Self> {
        if byway_tests::needs_root() {
            return None;
        }
        let net = Net::new().unwrap();
        let [app, preview, client] = net.pods(["app", "preview", "client"]).unwrap();
        client.as_netns().spare_ports().unwrap();
        Some(Self { app, preview, client, net })
    }

    /// Who serves in a pod.
    fn pods(&self) -> [(&Pod, &'static str); 2] {
        [(&self.app, "APP"), (&self.preview, "PREVIEW")]
    }

    fn servers(&self) -> Vec<Running> {
        let mut all = Vec::new();
        for (pod, name) in self.pods() {
            server::serve(pod, name);
            all.push(self.go(pod, name));
            let mut grpc = pod.command(Peers::Http2.program("grpc-server").unwrap());
            all.push(Running::spawn("grpc", grpc.arg(format!("-port={GRPC}"))).unwrap());
        }
        all.iter_mut().skip(1).step_by(2).for_each(|grpc| grpc.wait_listening(GRPC).unwrap());
        all
    }

    fn go(&self, pod: &Pod, name: &str) -> Running {
        let mut command = pod.command(Peers::Http2.program("http2-server").unwrap());
        let mut server = Running::spawn(name, command.args([name, &format!("[::]:{GO}")])).unwrap();
        server.wait_listening(GO).unwrap();
        server
    }

    fn routes(&self) -> Routes {
        self.routes_to(Preview::new(NAME, KEY).backend(&self.preview))
    }

    fn routes_to(&self, preview: Preview) -> Routes {
        Routes::new().preview(preview).target(&self.app, &[PORT, GO, GRPC], &[NAME])
    }

    /// An agent that steers, and drains for as long.
    fn agent(&self, drain: Duration) -> Agent {
        let drain = drain.as_secs().to_string();
        Agent::builder(&self.net).args(["--drain-deadline", &drain]).start(&self.routes()).unwrap()
    }

    fn to(&self, port: u16) -> SocketAddr {
        (self.app.ipv4, port).into()
    }
}

/// The header that makes a request the preview's, or none.
fn keyed(keyed: bool) -> &'static [(&'static str, &'static str)] {
    if keyed { &[("x-byway-key", KEY)] } else { &[] }
}

/// Who is to answer.
fn wanted(keyed: bool) -> &'static str {
    if keyed { "PREVIEW" } else { "APP" }
}
