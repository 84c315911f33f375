//! What the demo plays on: a node with three pods, the servers in them, and the agent.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use byway_tests::{Agent, Net, Pod, Preview, Routes, Running};
use serde_json::{Value, json};

use crate::progress::Step;
use crate::signals;

/// The port of both servers.
pub(super) const PORT: u16 = 8080;
/// The preview's key.
pub(super) const KEY: &str = "pr-1";
/// A key that contains the preview's.
pub(super) const WRONG_KEY: &str = "pr-12";
/// The header that carries the key.
pub(super) const HEADER: &str = "x-byway-key";

/// How long a server of the user's own may take to start: it may have to be compiled.
const PATIENCE: Duration = Duration::from_secs(120);

/// Dropped from top to bottom: first the processes, then where they ran.
pub(super) struct Stage {
    /// The agent's program; none where there is to be no agent.
    program: Option<PathBuf>,
    agent: Option<Agent>,
    app_server: Running,
    preview_server: Running,
    app_pid: u32,
    preview_pid: u32,
    routes: Routes,
    pub(super) client: Pod,
    pub(super) app: Pod,
    pub(super) preview: Pod,
    pub(super) net: Net,
    /// Whether the servers are the demo's own, whose answers we know how to read.
    pub(super) own_servers: bool,
}

impl Stage {
    /// Builds it and waits until everything is ready.
    pub(super) fn set(
        app_cmd: Option<&str>,
        preview_cmd: Option<&str>,
        program: Option<PathBuf>,
    ) -> Result<Self> {
        let step = Step::start("Making a node with three pods");
        let net = Net::new()?;
        let (client, app, preview) = (net.pod("client")?, net.pod("app")?, net.pod("preview")?);
        step.done();
        signals::check()?;

        let step = Step::start("Starting the app and its preview");
        let mut app_server = start("app", &app, app_cmd, "STABLE")?;
        let mut preview_server = start("preview", &preview, preview_cmd, "PREVIEW")?;
        let app_pid = wait(&mut app_server, "app")?;
        let preview_pid = wait(&mut preview_server, "preview")?;
        step.done();

        let routes = Routes::new().preview(Preview::new("demo/redesign", KEY).backend(&preview)).target(
            &app,
            &[PORT],
            &["demo/redesign"],
        );
        let own_servers = app_cmd.is_none() && preview_cmd.is_none();
        let mut stage = Self {
            program,
            agent: None,
            app_server,
            preview_server,
            app_pid,
            preview_pid,
            routes,
            client,
            app,
            preview,
            net,
            own_servers,
        };
        stage.start_agent()?;
        signals::check()?;
        Ok(stage)
    }

    pub(super) fn agent(&mut self) -> Option<&mut Agent> {
        self.agent.as_mut()
    }

    /// Starts the agent again if it was there and has ended.
    pub(super) fn revive_agent(&mut self) -> Result<()> {
        let ended = self.agent.as_mut().is_some_and(|agent| !matches!(agent.ended(), Ok(None)));
        if ended { self.start_agent() } else { Ok(()) }
    }

    /// Waits for processes that were killed from outside, so that they do not stay as zombies.
    pub(super) fn reap(&mut self) {
        let _ = (self.app_server.ended(), self.preview_server.ended());
        if let Some(agent) = &mut self.agent {
            let _ = agent.ended();
        }
    }

    /// The one line of `--output json`.
    pub(super) fn describe(&self) -> Value {
        json!({
            "client_netns": self.client.netns(),
            "app_netns": self.app.netns(),
            "preview_netns": self.preview.netns(),
            "node_netns": self.net.node().path(),
            "node_name": self.net.node_name(),
            "preview_ipv4": self.preview.ipv4,
            "preview_ipv6": self.preview.ipv6,
            "routes_file": self.agent.as_ref().map(Agent::routes_file),
            "pod_ipv4": self.app.ipv4,
            "pod_ipv6": self.app.ipv6,
            "port": PORT,
            "key": KEY,
            "header": HEADER,
            "agent_pid": self.agent.as_ref().map(Agent::pid),
            "app_pid": self.app_pid,
            "preview_pid": self.preview_pid,
            "admin": self.agent.as_ref().map(|agent| format!("http://{}", agent.admin())),
        })
    }

    /// What the agent's program says of the routes in the kernel.
    pub(super) fn routes(&self) -> Option<std::io::Result<Output>> {
        let program = self.program.as_ref()?;
        Some(Command::new(program).args(["debug", "routes", "--node", self.net.node_name()]).output())
    }

    fn start_agent(&mut self) -> Result<()> {
        let Some(program) = &self.program else { return Ok(()) };
        let step = Step::start("Starting the agent");
        // With its reasons in the log: the screen shows one.
        let filter = "info,byway_agent::forward::count=debug";
        self.agent =
            Some(Agent::builder(&self.net).program(program).env("RUST_LOG", filter).start(&self.routes)?);
        step.done();
        Ok(())
    }
}

fn start(name: &str, pod: &Pod, own: Option<&str>, says: &str) -> Result<Running> {
    let mut command: Command;
    if let Some(own) = own {
        command = pod.command("sh");
        command.args(["-c", own]);
    } else {
        command = pod.command(std::env::current_exe()?);
        command.args(["demo-app", "--name", says, "--listen", &format!("[::]:{PORT}")]);
    }
    Running::spawn(name, &mut command)
}

/// Waits until the server listens; returns the process that does.
fn wait(server: &mut Running, name: &str) -> Result<u32> {
    let until = Instant::now() + PATIENCE;
    loop {
        if server.listens(PORT) {
            return Ok(server.listening_pid(PORT).unwrap_or(server.pid()));
        }
        if let Some(status) = server.ended()? {
            bail!("the {name} ended with {status} before it listened on port {PORT}:\n{}", server.log());
        }
        if Instant::now() > until {
            bail!("the {name} does not listen on port {PORT} after {PATIENCE:?}:\n{}", server.log());
        }
        signals::sleep(Duration::from_millis(20))?;
    }
}
