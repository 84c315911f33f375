//! Where the contestants meet: one client, one preview, and for each contestant an app in a pod of its own. All
//! apps are alike; a proxy stays up while others have their turn, the agent does not: what it attaches to the
//! node would count against the others.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use byway_tests::{Agent, Http, Net, Pod, Preview, Routes, Running, Scratch};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::contestant::{Contestant, Protocol};
use super::cpu::{self, Spent};
use super::load::{Done, Load, http2};
use super::proxies::{self, Proxy};
use super::settings::{APP_DIRECT_PORT, APP_PORT, KEY, Programs, SECOND_DIRECT_PORT, SECOND_PORT};
use super::{servers, sink};
use crate::progress::Step;

/// What the agent steers.
const PORTS: [u16; 2] = [APP_PORT, SECOND_PORT];
/// Dropped from top to bottom: first the processes, then where they ran.
pub(super) struct Stage<'a> {
    proxies: Vec<(Contestant, Proxy)>,
    apps: Vec<(Contestant, Server)>,
    preview: Server,
    pub(super) client: Pod,
    net: Net,
    _files: Scratch,
    protocol: Protocol,
    programs: &'a Programs,
}

struct Server {
    running: Vec<Running>,
    pod: Pod,
}

/// A contestant that is ready.
pub(super) struct Ready<'a> {
    stage: &'a Stage<'a>,
    contestant: Contestant,
    pub(super) agent: Option<Agent>,
}

/// Asks who answers, with a key or without.
type Ask<'a> = dyn FnMut(Option<&str>) -> Result<String> + 'a;

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

impl<'a> Stage<'a> {
    /// Builds it and waits until all servers listen.
    pub(super) fn set(protocol: Protocol, programs: &'a Programs) -> Result<Self> {
        let contestants = protocol.contestants();
        let step = Step::start("Making a node with pods");
        let net = Net::new()?;
        let (client, preview) = (net.pod("client")?, net.pod("preview")?);
        client.as_netns().spare_ports()?;
        let files = servers::files()?;
        step.done();

        let step = Step::start(format!("Starting {} apps and a preview", contestants.len()));
        let serve = |pod: Pod, says: &str| -> Result<Server> {
            let mut app = servers::app(&pod, says, files.path(), protocol)?;
            app.wait_listening(APP_PORT)?;
            let mut running = vec![app];
            if protocol == Protocol::Http2 {
                running.push(servers::grpc(&pod, says, &programs.grpc)?);
            }
            Ok(Server { running, pod })
        };
        let preview = serve(preview, "preview")?;
        let mut apps = Vec::new();
        for who in contestants {
            let pod = net.pod(&format!("app-{who}"))?;
            if protocol == Protocol::Http1 {
                sink::start(&pod, [SECOND_PORT, SECOND_DIRECT_PORT])?;
            }
            apps.push((who, serve(pod, "app")?));
        }
        step.done();

        let step = Step::start("Starting the proxies, and steering to them");
        let mut proxies = Vec::new();
        for (who, app) in apps.iter().filter(|(who, _)| who.is_proxy()) {
            let proxy = proxies::start(*who, protocol, &net, &app.pod, preview.pod.ipv4, programs);
            proxies.push((*who, proxy.with_context(|| format!("{who} does not start"))?));
        }
        step.done();
        Ok(Self { proxies, apps, preview, client, net, _files: files, protocol, programs })
    }

    /// Has a contestant take its place, and proves that it is there.
    pub(super) fn ready(&self, contestant: Contestant) -> Result<Ready<'_>> {
        let agent = match contestant {
            Contestant::Byway { routes } | Contestant::Straight { routes } => {
                Some(self.agent(contestant, routes)?)
            }
            Contestant::Armed => {
                let armed = Routes::new().armed(&self.app(contestant).pod, &PORTS);
                Some(self.start(contestant, &armed)?)
            }
            Contestant::Mirroring => {
                let shown = Preview::new("bench/preview", KEY).backend(&self.preview.pod);
                let shown = shown.with(|route| route.copies_percent = Some(100));
                let routes = Routes::new().preview(shown);
                Some(self.start(
                    contestant,
                    &routes.target(&self.app(contestant).pod, &PORTS, &["bench/preview"]),
                )?)
            }
            _ => None,
        };
        let ready = Ready { stage: self, contestant, agent };
        ready.prove().with_context(|| format!("{contestant} is not where it should be"))?;
        Ok(ready)
    }

    /// Starts the agent. The preview has the last of the routes, so that finding it is no luck.
    fn agent(&self, contestant: Contestant, routes: u32) -> Result<Agent> {
        let names: Vec<String> = (1..=routes).map(|n| format!("bench/preview-{n}")).collect();
        let mut document = Routes::new();
        for (n, name) in (1..).zip(&names) {
            let key = if n == routes { KEY.to_owned() } else { format!("key-{n}") };
            document = document.preview(Preview::new(name, &key).backend(&self.preview.pod));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let target = &self.app(contestant).pod;
        self.start(contestant, &document.target(target, &PORTS, &names))
    }

    fn start(&self, contestant: Contestant, document: &Routes) -> Result<Agent> {
        let is_straight = matches!(contestant, Contestant::Straight { .. } | Contestant::Mirroring);
        let mode = if is_straight { "direct" } else { "proxy" };
        // No connection of a burst may pass the agent by: it would make it look fast.
        let args = ["--max-backlog", "4096", "--mode", mode];
        let agent = Agent::builder(&self.net).args(args).start(document)?;
        thread::sleep(SETTLE);
        Ok(agent)
    }

    /// Whoever takes part has one; the agent has the same whatever its routes.
    fn app(&self, contestant: Contestant) -> &Server {
        let who = match contestant {
            Contestant::Byway { .. } | Contestant::Armed => Contestant::BYWAY,
            Contestant::Straight { .. } | Contestant::Mirroring => Contestant::STRAIGHT,
            other => other,
        };
        let app = self.apps.iter().find(|(other, _)| *other == who);
        &app.unwrap_or(&self.apps[0]).1
    }
}

/// What the agent does at its start, reading the kernel's types above all, is no part of a turn.
const SETTLE: Duration = Duration::from_millis(700);
/// Longer than any copy waits.
const COPIED: Duration = Duration::from_secs(15);

impl Ready<'_> {
    /// The app's steered port.
    pub(super) fn address(&self) -> SocketAddr {
        self.at(APP_PORT)
    }

    /// ... in both families.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let ips = self.stage.app(self.contestant).pod.ips();
        ips.map(|ip| SocketAddr::new(ip, APP_PORT)).into()
    }

    /// Puts a load on it.
    pub(super) fn turn(&self, load: &Load, time: Duration) -> Result<Turn> {
        let (before, seen) = (self.spent(), self.seen()?);
        let Stage { client, programs, .. } = self.stage;
        let done = load.run(client, self.address(), self.at(SECOND_PORT), programs, time)?;
        let spent = self.spent() - before;
        if self.contestant == Contestant::Mirroring {
            self.check_copied(load, done.amount)?;
        } else if let Load::Requests(_) | Load::Streams { .. } = load {
            self.check_seen(self.seen()? - seen, done.amount)?;
        }
        Ok(Turn { done, spent })
    }

    fn at(&self, port: u16) -> SocketAddr {
        (self.stage.app(self.contestant).pod.ipv4, port).into()
    }

    fn spent(&self) -> Spent {
        let Stage { proxies, preview, .. } = self.stage;
        let proxy = proxies.iter().find(|(who, _)| *who == self.contestant);
        let between = match (proxy, &self.agent) {
            (Some((_, proxy)), _) => Some(proxy.server.pid()),
            (None, agent) => agent.as_ref().map(Agent::watchdog_pid),
        };
        let between = between.map(cpu::of_family).unwrap_or_default();
        let servers = [self.stage.app(self.contestant), preview];
        let servers = servers.iter().flat_map(|server| &server.running);
        let servers: Duration = servers.map(|running| cpu::of_family(running.pid())).sum();
        Spent { between, total: between + servers }
    }

    /// Requests that the agent has decided.
    fn seen(&self) -> Result<f64> {
        self.agent.as_ref().map_or(Ok(0.0), |agent| agent.metric("byway_agent_requests_total", ""))
    }

    /// Each request has been sent to the preview, or dropped and counted.
    fn check_copied(&self, load: &Load, asked: f64) -> Result<()> {
        let (Some(agent), Load::Requests(_)) = (&self.agent, load) else { return Ok(()) };
        let copied = || -> Result<f64> {
            let of = |became| agent.metric("byway_agent_copies_total", became);
            Ok(of("became=\"sent\"")? + of("became=\"dropped\"")?)
        };
        let until = Instant::now() + COPIED;
        while copied()? < asked {
            ensure!(Instant::now() < until, "of {asked} requests only {} were copied or counted", copied()?);
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn check_seen(&self, seen: f64, asked: f64) -> Result<()> {
        match self.contestant {
            Contestant::Byway { routes: 0 } => {
                ensure!(seen == 0.0, "the agent saw {seen} requests without a route");
            }
            Contestant::Byway { .. } | Contestant::Straight { .. } | Contestant::Armed => {
                ensure!(seen >= asked * 0.99, "the agent saw only {seen} of {asked} requests");
            }
            _ => {}
        }
        Ok(())
    }

    /// Asks who answers, without a key and with it.
    fn prove(&self) -> Result<()> {
        self.prove_at([APP_PORT, APP_DIRECT_PORT], &mut self.asking()?)?;
        if self.stage.protocol == Protocol::Http2 {
            let Stage { client, programs, .. } = self.stage;
            let address = self.at(SECOND_PORT);
            let mut ask = |key: Option<&str>| http2::who_of_grpc(client, address, &programs.grpc, key);
            self.prove_at([SECOND_PORT, SECOND_DIRECT_PORT], &mut ask)?;
        }
        Ok(())
    }

    /// `direct` is where proxies reach the app.
    fn prove_at(&self, [port, direct]: [u16; 2], ask: &mut Ask<'_>) -> Result<()> {
        let app = format!("app {port}");
        let preview = format!("preview {port}");
        let (stable, keyed) = match self.contestant {
            Contestant::Direct
            | Contestant::Armed
            | Contestant::Mirroring
            | Contestant::Byway { routes: 0 } => (app.clone(), app),
            Contestant::Byway { .. } | Contestant::Straight { .. } => (app, preview),
            _ => (format!("app {direct}"), preview),
        };
        for (key, wanted) in [(None, stable), (Some(KEY), keyed)] {
            let answer = ask(key)?;
            ensure!(answer == wanted, "asked with key {key:?}, {answer:?} answers instead of {wanted:?}");
        }
        Ok(())
    }

    /// A way to ask the app who it is: with HTTP/1.1 on one connection, that what is kept is seen, too.
    fn asking(&self) -> Result<Box<Ask<'_>>> {
        let (client, address) = (&self.stage.client, self.address());
        Ok(match self.stage.protocol {
            Protocol::Http1 => {
                let mut http = Http::new(client.connect(address)?);
                Box::new(move |key| {
                    let headers: Vec<_> = key.iter().map(|key| ("x-byway-key", *key)).collect();
                    Ok(http.get("/who", &headers)?.text())
                })
            }
            Protocol::Http2 => Box::new(move |key| http2::who(client, address, key)),
        })
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

/// Thousands of connections are held from this process.
pub(super) fn raise_files() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
