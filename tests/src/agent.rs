//! The node agent under test: the real binary, in the node's namespace.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use serde::Serialize;

use crate::process::{children, eventually, pid};
use crate::{Net, Response, Running, Scratch, http, spawn};

/// A running `byway-agent`.
///
/// Its admin listener is made here and passed on, as by systemd: it is reached from where the test runs,
/// although the agent runs in the node's namespace.
#[derive(Debug)]
pub struct Agent {
    running: Running,
    serving: u32,
    admin: SocketAddr,
    routes: PathBuf,
    _scratch: Scratch,
}

/// How to start one.
#[derive(Debug)]
pub struct AgentBuilder<'a> {
    net: &'a Net,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    open_files: Option<u64>,
    without: Option<String>,
}

impl Agent {
    /// Starts an agent with these routes and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it is not ready within 20 seconds.
    pub fn start(net: &Net, routes: &impl Serialize) -> Result<Self> {
        Self::builder(net).start(routes)
    }

    /// To start one with other arguments.
    #[must_use]
    pub fn builder(net: &Net) -> AgentBuilder<'_> {
        AgentBuilder {
            net,
            program: Self::binary(),
            args: Vec::new(),
            env: Vec::new(),
            open_files: None,
            without: None,
        }
    }

    /// The binary, see [`built`](crate::built).
    #[must_use]
    pub fn binary() -> PathBuf {
        crate::built("byway-agent")
    }

    /// Changes the routes: written beside and renamed, so that the agent never reads a half.
    ///
    /// # Errors
    ///
    /// When the disk is full.
    pub fn write_routes(&self, routes: &impl Serialize) -> Result<()> {
        write_whole(&self.routes, &serde_json::to_vec_pretty(routes)?)
    }

    /// The routes file.
    pub fn routes_file(&self) -> &Path {
        &self.routes
    }

    /// The process that serves; its parent only watches it.
    pub fn pid(&self) -> u32 {
        self.serving
    }

    /// What the serving process has in memory, in KiB.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn resident_kib(&self) -> Result<i64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.serving))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(line.context("it has ended")?.trim().trim_end_matches(" kB").parse()?)
    }

    /// The process that watches.
    pub fn watchdog_pid(&self) -> u32 {
        self.running.pid()
    }

    /// The address of `/healthz`, `/readyz` and `/metrics`.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Asks the admin listener.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<Response> {
        http::get(self.admin, path, &[])
    }

    /// One value of `/metrics`: the sum of all samples of `name` whose labels contain `labels`.
    ///
    /// # Errors
    ///
    /// When the listener does not answer.
    pub fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = self.get("/metrics")?.text();
        Ok(text.lines().filter_map(|line| sample(line, name, labels)).sum())
    }

    /// What `debug routes` says of all agents of this machine.
    pub fn debug_routes() -> String {
        let output = std::process::Command::new(Self::binary()).args(["debug", "routes"]).output();
        output.map_or_else(|e| e.to_string(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether connections go straight to the app until they are keyed, so that what is not keyed is none of the agent's:
    /// so unless `BYWAY_TEST_MODE` says `proxy`, with which every test can be run in either mode.
    #[must_use]
    pub fn goes_straight() -> bool {
        test_mode().is_none_or(|mode| mode != "proxy")
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Its status, once it has ended.
    ///
    /// # Errors
    ///
    /// As [`std::process::Child::try_wait`].
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.running.ended()?)
    }

    /// `kill -9`, the serving process first and then its watchdog.
    pub fn sigkill(&mut self) {
        let _ = kill(pid(self.serving), Signal::SIGKILL);
        self.running.kill();
    }

    /// Hangs the serving process; its watchdog goes on.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn sigstop(&self) -> Result<()> {
        kill(pid(self.serving), Signal::SIGSTOP)?;
        // On a busy machine a thread that has not seen the signal yet still accepts.
        eventually(Duration::from_secs(10), || self.is_stopped().then_some(()))
            .context("the agent does not stop")
    }

    /// Whether each of its threads has stopped (proc(5): state `T`, after the name in parentheses).
    fn is_stopped(&self) -> bool {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.serving)) else { return false };
        tasks.flatten().all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
        })
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn sigcont(&self) -> Result<()> {
        Ok(kill(pid(self.serving), Signal::SIGCONT)?)
    }

    /// Asks it to end, as Kubernetes does, and does not wait.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn sigterm(&self) -> Result<()> {
        self.running.signal(Signal::SIGTERM)
    }

    /// Asks it to end and waits, for as long as Kubernetes would.
    ///
    /// # Errors
    ///
    /// When it takes more than 30 seconds.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.running.stop(Duration::from_secs(30))
    }
}

impl AgentBuilder<'_> {
    /// Has another program be the agent.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Has all connections go through it from their first byte on, whatever the tests are run with: see
    /// [`Agent::goes_straight`].
    #[must_use]
    pub fn proxying(self) -> Self {
        self.args(["--mode", "proxy"])
    }

    /// Sets a variable of its environment, say `RUST_LOG`.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets its limit of open files, also the hard one.
    #[must_use]
    pub fn open_files(mut self, limit: u64) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// Takes a capability away from it, say `sys_admin`; needs `setpriv`.
    #[must_use]
    pub fn without_capability(mut self, name: &str) -> Self {
        self.without = Some(format!("-{name}"));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it is not ready within 20 seconds.
    pub fn start(self, routes: &impl Serialize) -> Result<Agent> {
        self.spawn(routes)?.until_ready()
    }

    /// Starts one that takes its routes from the API server of this kubeconfig, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it is not ready within 20 seconds.
    pub fn start_with_api(self, kubeconfig: &Path) -> Result<Agent> {
        self.spawn_with_api(kubeconfig)?.until_ready()
    }

    /// The same without waiting: [`Agent::pid`] is the watchdog's then.
    ///
    /// # Errors
    ///
    /// When there is no binary.
    pub fn spawn_with_api(self, kubeconfig: &Path) -> Result<Agent> {
        let scratch = Scratch::new("routes")?;
        self.env("KUBECONFIG", kubeconfig).run(&[], scratch)
    }

    fn run(self, source: &[&OsStr], scratch: Scratch) -> Result<Agent> {
        let binary = self.program;
        if !binary.exists() {
            bail!("no agent at {}: `cargo xtask build` builds it", binary.display());
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port for the admin listener")?;
        let admin = listener.local_addr()?;
        let mut command = match &self.without {
            None => self.net.node().command(&binary),
            Some(capability) => {
                let mut command = self.net.node().command("setpriv");
                command.args(["--bounding-set", capability, "--inh-caps", capability]).arg(&binary);
                command
            }
        };
        command.args(source).args(["--node-name", self.net.node_name()]).args(&self.args).envs(self.env);
        if let Some(mode) = test_mode().filter(|_| !self.args.iter().any(|it| it == "--mode")) {
            command.arg("--mode").arg(mode);
        }
        if let Some(limit) = self.open_files {
            spawn::with_open_files(&mut command, limit);
        }
        spawn::with_listener(&mut command, listener.into());
        let running = Running::spawn("agent", &mut command)?;
        let routes = scratch.path().join("routes.json");
        Ok(Agent { serving: running.pid(), running, admin, routes, _scratch: scratch })
    }

    /// Starts it without waiting: [`Agent::pid`] is the watchdog's then.
    ///
    /// # Errors
    ///
    /// When there is no binary.
    pub fn spawn(self, routes: &impl Serialize) -> Result<Agent> {
        let scratch = Scratch::new("routes")?;
        let file = scratch.path().join("routes.json");
        write_whole(&file, &serde_json::to_vec_pretty(routes)?)?;
        self.run(&["--routes".as_ref(), file.as_ref()], scratch)
    }
}

fn test_mode() -> Option<OsString> {
    std::env::var_os("BYWAY_TEST_MODE")
}

impl Agent {
    fn until_ready(self) -> Result<Self> {
        let mut agent = self;
        let ready = eventually(Duration::from_secs(20), || match agent.ended() {
            Ok(None) => agent.get("/readyz").is_ok_and(|r| r.status == 200).then_some(true),
            _ => Some(false),
        });
        match ready {
            Some(true) => {}
            Some(false) => bail!("the agent ended before it was ready:\n{}", agent.log()),
            None => bail!("the agent is not ready after 20 s:\n{}", agent.log()),
        }
        // Without a child it serves itself.
        agent.serving = children(agent.running.pid()).first().copied().unwrap_or(agent.running.pid());
        Ok(agent)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes)?;
    Ok(fs::rename(fresh, path)?)
}

/// The value of a line `NAME{LABELS} VALUE` of the Prometheus text format.
fn sample(line: &str, name: &str, labels: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    if !rest.starts_with(['{', ' ']) || !rest.contains(labels) {
        return None;
    }
    rest.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn a_sample_is_picked_by_name_and_label() {
        let line = r#"byway_requests_total{route="a",side="app"} 7"#;
        assert_eq!(sample(line, "byway_requests_total", r#"side="app""#), Some(7.0));
        assert_eq!(sample(line, "byway_requests_total", r#"side="preview""#), None);
        assert_eq!(sample(line, "byway_requests", ""), None);
        assert_eq!(sample("byway_open 3", "byway_open", ""), Some(3.0));
    }
}
