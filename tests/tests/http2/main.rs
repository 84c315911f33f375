//! HTTP/2 without TLS, stream by stream: the real agent between clients and servers that others wrote, and some that
//! do what the test tells them.

mod bulk;
mod clients;
mod conform;
mod ends;
mod grpc;
mod lost;
mod mixed;
mod peer;
mod servers;
mod streams;
mod upgraded;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use byway_tests::{Agent, Net, Peers, Pod, Preview, Routes, Running};

pub(crate) const PORT: u16 = 8080;
/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Nothing takes so long that does not hang.
pub(crate) const LONG: Duration = Duration::from_secs(120);
pub(crate) const NAME: &str = "staging/redesign";
pub(crate) const KEY: (&str, &str) = ("x-byway-key", "pr-1");

/// A node with an app, its preview and a client.
pub(crate) struct Stage {
    pub(crate) app: Pod,
    pub(crate) preview: Pod,
    pub(crate) client: Pod,
    pub(crate) net: Net,
}

impl Stage {
    pub(crate) fn new() -> Option<Self> {
        if byway_tests::needs_root() {
            return None;
        }
        let net = Net::new().unwrap();
        let [app, preview, client] = net.pods(["app", "preview", "client"]).unwrap();
        Some(Self { app, preview, client, net })
    }

    pub(crate) fn to(&self) -> SocketAddr {
        (self.app.ipv4, PORT).into()
    }

    pub(crate) fn routes(&self, change: impl FnOnce(Preview) -> Preview) -> Routes {
        let preview = change(Preview::new(NAME, KEY.1).backend(&self.preview));
        Routes::new().preview(preview).target(&self.app, &[PORT], &[NAME])
    }

    pub(crate) fn agent(&self) -> Agent {
        Agent::start(&self.net, &self.routes(|preview| preview)).unwrap()
    }

    /// For a server that counts on the connection which it accepts first: one that is taken over ends at once.
    pub(crate) fn proxying(&self) -> Agent {
        Agent::builder(&self.net).proxying().start(&self.routes(|preview| preview)).unwrap()
    }

    /// Go's own server, of both versions of HTTP.
    pub(crate) fn go(&self, pod: &Pod, name: &str) -> Running {
        self.go_with(pod, name, &[])
    }

    /// With other arguments behind its own.
    pub(crate) fn go_with(&self, pod: &Pod, name: &str, arguments: &[&str]) -> Running {
        let program = Peers::Http2.program("http2-server").unwrap();
        let mut command = pod.command(program);
        let mut server = Running::spawn(name, command.args([name, "[::]:8080"]).args(arguments)).unwrap();
        server.wait_listening(PORT).unwrap();
        server
    }

    /// Go's server as the app and as the preview.
    pub(crate) fn gos(&self) -> [Running; 2] {
        [self.go(&self.app, "APP"), self.go(&self.preview, "PREVIEW")]
    }

    /// A program in the client's pod, which must succeed in time: what it wrote.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> String {
        // What hangs writes where: Go and Java do, told so.
        let timeout = ["--signal=QUIT", "--kill-after=5", &LONG.as_secs().to_string()];
        let output = self.client.command("timeout").args(timeout).arg(program).args(args).output().unwrap();
        let [out, err] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let status = output.status;
        assert!(status.success(), "{program} {args:?}: {status}\n{out}\n{err}\n{}", Agent::debug_routes());
        out
    }
}

/// Requests that the agent has decided.
pub(crate) fn decided(agent: &Agent, to: &str) -> f64 {
    agent.metric("byway_agent_requests_total", &format!("to=\"{to}\"")).unwrap()
}

pub(crate) fn opaque(agent: &Agent, reason: &str) -> f64 {
    agent.metric("byway_agent_connections_opaque_total", &format!("\"{reason}\"")).unwrap()
}

/// Runs what a test does by itself, in no more time than a test may take.
pub(crate) fn run<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONG, what).await.expect("it takes too long") })
}
