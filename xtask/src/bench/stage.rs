//! Where the contestants meet: one client, one preview, and for each contestant an app in a pod of its own. All
//! apps are alike; a proxy stays up while others have their turn, the agent does not: what it attaches to the
//! node would count against the others.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use byway_tests::{Agent, Http, Net, Pod, Preview, Routes, Running, Scratch};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::contestant::Contestant;
use super::cpu::{self, Spent};
use super::load::{Done, Load};
use super::proxies::{self, Proxy};
use super::{servers, sink};
use crate::progress::Step;

/// The steered port of the app.
pub(super) const APP_PORT: u16 = 8080;
/// Where proxies reach the app: not steered.
pub(super) const APP_DIRECT_PORT: u16 = 8081;
/// The steered port for uploads.
pub(super) const SINK_PORT: u16 = 8090;
/// Where proxies reach that.
pub(super) const SINK_DIRECT_PORT: u16 = 8091;
/// What the agent steers.
const PORTS: [u16; 2] = [APP_PORT, SINK_PORT];
/// The preview's key.
pub(super) const KEY: &str = "bench";

/// Dropped from top to bottom: first the processes, then where they ran.
pub(super) struct Stage {
    haproxy: Proxy,
    nginx: Proxy,
    apps: [Server; 4],
    preview: Server,
    pub(super) client: Pod,
    net: Net,
    _files: Scratch,
}

struct Server {
    running: Running,
    pod: Pod,
}

/// A contestant that is ready.
pub(super) struct Ready<'a> {
    stage: &'a Stage,
    contestant: Contestant,
    pub(super) agent: Option<Agent>,
}

/// What came of one turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) done: Done,
    pub(super) spent: Spent,
}

impl Turn {
    /// Per second.
    pub(super) fn rate(&self) -> f64 {
        self.done.amount / self.done.seconds
    }
}

impl Stage {
    /// Builds it and waits until all servers listen.
    pub(super) fn set(steer: &Path) -> Result<Self> {
        let step = Step::start("Making a node with six pods");
        let net = Net::new()?;
        let (client, preview) = (net.pod("client")?, net.pod("preview")?);
        prepare_client(&client)?;
        let files = servers::files()?;
        step.done();

        let step = Step::start("Starting four apps and a preview");
        let serve = |pod: Pod, says: &str| -> Result<Server> {
            let mut running = servers::app(&pod, says, files.path())?;
            running.wait_listening(APP_PORT)?;
            Ok(Server { running, pod })
        };
        let preview = serve(preview, "preview")?;
        let [direct, byway, haproxy, nginx] = Contestant::ALL.map(|who| {
            let pod = net.pod(&format!("app-{who}"))?;
            sink::start(&pod, [SINK_PORT, SINK_DIRECT_PORT])?;
            serve(pod, "app")
        });
        let apps = [direct?, byway?, haproxy?, nginx?];
        step.done();

        let step = Step::start("Starting haproxy and nginx, and steering to them");
        let haproxy = proxies::haproxy(&net, &apps[2].pod, preview.pod.ipv4, steer)?;
        let nginx = proxies::nginx(&net, &apps[3].pod, preview.pod.ipv4, steer)?;
        step.done();
        Ok(Self { haproxy, nginx, apps, preview, client, net, _files: files })
    }

    /// Has a contestant take its place, and proves that it is there.
    pub(super) fn ready(&self, contestant: Contestant) -> Result<Ready<'_>> {
        let agent = match contestant {
            Contestant::Byway { routes } => Some(self.agent(routes)?),
            Contestant::Armed => Some(self.start(&Routes::new().armed(&self.apps[1].pod, &PORTS))?),
            _ => None,
        };
        let ready = Ready { stage: self, contestant, agent };
        ready.prove().with_context(|| format!("{contestant} is not where it should be"))?;
        Ok(ready)
    }

    /// Starts the agent. The preview has the last of the routes, so that finding it is no luck.
    fn agent(&self, routes: u32) -> Result<Agent> {
        let names: Vec<String> = (1..=routes).map(|n| format!("bench/preview-{n}")).collect();
        let mut document = Routes::new();
        for (n, name) in (1..).zip(&names) {
            let key = if n == routes { KEY.to_owned() } else { format!("key-{n}") };
            document = document.preview(Preview::new(name, &key).backend(&self.preview.pod));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let target = &self.apps[1].pod;
        self.start(&document.target(target, &PORTS, &names))
    }

    fn start(&self, document: &Routes) -> Result<Agent> {
        // No connection of a burst may pass the agent by: it would make it look fast.
        let agent = Agent::builder(&self.net).args(["--max-backlog", "4096"]).start(document)?;
        thread::sleep(SETTLE);
        Ok(agent)
    }

    fn app(&self, contestant: Contestant) -> &Server {
        let [direct, byway, haproxy, nginx] = &self.apps;
        match contestant {
            Contestant::Direct => direct,
            Contestant::Byway { .. } | Contestant::Armed => byway,
            Contestant::Haproxy => haproxy,
            Contestant::Nginx => nginx,
        }
    }
}

/// What the agent does at its start, reading the kernel's types above all, is no part of a turn.
const SETTLE: Duration = Duration::from_millis(700);

impl Ready<'_> {
    /// The app's steered port.
    pub(super) fn address(&self) -> SocketAddr {
        self.at(APP_PORT)
    }

    /// Puts a load on it.
    pub(super) fn turn(&self, load: &Load, time: Duration) -> Result<Turn> {
        let (before, seen) = (self.spent(), self.seen()?);
        let done = load.run(&self.stage.client, self.address(), self.at(SINK_PORT), time)?;
        let spent = self.spent() - before;
        if let Load::Requests { .. } = load {
            self.check_seen(self.seen()? - seen, done.amount)?;
        }
        Ok(Turn { done, spent })
    }

    fn at(&self, port: u16) -> SocketAddr {
        (self.stage.app(self.contestant).pod.ipv4, port).into()
    }

    fn spent(&self) -> Spent {
        let Stage { haproxy, nginx, preview, .. } = self.stage;
        let between = match (self.contestant, &self.agent) {
            (Contestant::Haproxy, _) => Some(haproxy.server.pid()),
            (Contestant::Nginx, _) => Some(nginx.server.pid()),
            (_, agent) => agent.as_ref().map(Agent::watchdog_pid),
        };
        let between = between.map(cpu::of_family).unwrap_or_default();
        let servers = [self.stage.app(self.contestant), preview];
        let servers: Duration = servers.iter().map(|server| cpu::of_family(server.running.pid())).sum();
        Spent { between, total: between + servers }
    }

    /// Requests that the agent has decided.
    fn seen(&self) -> Result<f64> {
        self.agent.as_ref().map_or(Ok(0.0), |agent| agent.metric("byway_agent_requests_total", ""))
    }

    fn check_seen(&self, seen: f64, asked: f64) -> Result<()> {
        match self.contestant {
            Contestant::Byway { routes: 0 } => {
                ensure!(seen == 0.0, "the agent saw {seen} requests without a route");
            }
            Contestant::Byway { .. } | Contestant::Armed => {
                ensure!(seen >= asked * 0.99, "the agent saw only {seen} of {asked} requests");
            }
            _ => {}
        }
        Ok(())
    }

    /// Asks who answers, without a key and with it.
    fn prove(&self) -> Result<()> {
        let direct = format!("app {APP_PORT}");
        let preview = format!("preview {APP_PORT}");
        let (stable, keyed) = match self.contestant {
            Contestant::Direct | Contestant::Armed | Contestant::Byway { routes: 0 } => {
                (direct.clone(), direct)
            }
            Contestant::Byway { .. } => (direct, preview),
            _ => (format!("app {APP_DIRECT_PORT}"), preview),
        };
        let mut http = Http::new(self.stage.client.connect(self.address())?);
        for (headers, wanted) in [(&[][..], stable), (&[("x-byway-key", KEY)][..], keyed)] {
            let answer = http.get("/who", headers)?.text();
            ensure!(answer == wanted, "asked with {headers:?}, {answer:?} answers instead of {wanted:?}");
        }
        Ok(())
    }
}

impl Drop for Ready<'_> {
    /// At once: the next one waits.
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            agent.sigkill();
        }
    }
}

/// Has the client not run out of ports where it closes first.
fn prepare_client(client: &Pod) -> Result<()> {
    client.run(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535")?;
        std::fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1")?;
        Ok(())
    })
}

/// Thousands of connections are held from this process.
pub(super) fn raise_files() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
