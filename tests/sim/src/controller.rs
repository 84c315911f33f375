//! The controller under test: the real binary.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use byway_tests::{Response, Running, eventually, get, tied};
use nix::sys::signal::Signal;

use crate::runtime::on_lasting_thread;

/// A running `byway-controller`. Dropped, it is killed.
#[derive(Debug)]
pub struct Controller {
    running: Running,
    admin: SocketAddr,
}

/// How to start one.
#[derive(Clone, Debug)]
pub struct ControllerBuilder {
    kubeconfig: PathBuf,
    identity: String,
    lease: u32,
    args: Vec<OsString>,
    log: String,
}

impl Controller {
    /// To start one. It reaches the API server as the kubeconfig says.
    #[must_use]
    pub fn builder(kubeconfig: &Path) -> ControllerBuilder {
        let log = "info,kube=warn".to_owned();
        let kubeconfig = kubeconfig.to_path_buf();
        ControllerBuilder { kubeconfig, identity: "controller".to_owned(), lease: 60, args: Vec::new(), log }
    }

    /// The binary, see [`built`](byway_tests::built).
    #[must_use]
    pub fn binary() -> PathBuf {
        byway_tests::built("byway-controller")
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// What it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Asks the admin listener.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<Response> {
        get(self.admin, path, &[])
    }

    /// One value of `/metrics`: the sum of all samples of `name` whose labels contain `labels`.
    ///
    /// # Errors
    ///
    /// When the listener does not answer.
    pub fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = self.get("/metrics")?.text();
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with(['{', ' ']) || !rest.contains(labels) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        };
        Ok(text.lines().filter_map(of).sum())
    }

    /// True while it is the one that works.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.metric("byway_controller_leader", "").is_ok_and(|value| value == 1.0)
    }

    /// Its status, once it has ended.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.running.ended()?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When it takes longer than `patience`.
    pub fn wait_end(&mut self, patience: Duration) -> Result<ExitStatus> {
        let ended = eventually(patience, || self.running.ended().ok().flatten());
        ended.with_context(|| format!("the controller still runs after {patience:?}:\n{}", self.log()))
    }

    /// `kill -9`.
    pub fn sigkill(&mut self) {
        self.running.kill();
    }

    /// Stops it in its tracks.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn sigstop(&self) -> Result<()> {
        self.running.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn sigcont(&self) -> Result<()> {
        self.running.signal(Signal::SIGCONT)
    }

    /// Asks it to end, as Kubernetes does, and waits for as long as Kubernetes would.
    ///
    /// # Errors
    ///
    /// When it takes more than 30 seconds.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.running.stop(Duration::from_secs(30))
    }
}

impl ControllerBuilder {
    /// Its name among those that could lead.
    #[must_use]
    pub fn identity(mut self, name: &str) -> Self {
        self.identity = name.to_owned();
        self
    }

    /// How long it may be silent before another one leads, in seconds: 60 unless told otherwise, which
    /// an API server on a busy machine is not silent for.
    #[must_use]
    pub fn lease(mut self, seconds: u32) -> Self {
        self.lease = seconds;
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// What it logs, in the terms of `RUST_LOG`.
    #[must_use]
    pub fn log(mut self, filter: &str) -> Self {
        self.log = filter.to_owned();
        self
    }

    /// Starts it, and waits until it answers; it leads some seconds later, or waits for its turn.
    ///
    /// # Errors
    ///
    /// When there is no binary, or it ends, or does not answer within 20 seconds.
    pub fn start(&self) -> Result<Controller> {
        let mut controller = self.spawn()?;
        let ready = eventually(Duration::from_secs(20), || match controller.ended() {
            Ok(None) => controller.get("/readyz").is_ok_and(|r| r.status == 200).then_some(true),
            _ => Some(false),
        });
        match ready {
            Some(true) => Ok(controller),
            Some(false) => bail!("the controller ended before it answered:\n{}", controller.log()),
            None => bail!("the controller does not answer after 20 s:\n{}", controller.log()),
        }
    }

    /// Starts it, and waits until it leads.
    ///
    /// # Errors
    ///
    /// As [`ControllerBuilder::start`], or when it does not lead within 20 seconds.
    pub fn lead(&self) -> Result<Controller> {
        let controller = self.start()?;
        eventually(Duration::from_secs(20), || controller.leads().then_some(()))
            .with_context(|| format!("the controller does not lead after 20 s:\n{}", controller.log()))?;
        Ok(controller)
    }

    /// Starts it without waiting.
    ///
    /// # Errors
    ///
    /// When there is no binary.
    pub fn spawn(&self) -> Result<Controller> {
        let binary = Controller::binary();
        if !binary.exists() {
            bail!("no controller at {}: `cargo xtask build` builds it", binary.display());
        }
        // Somebody else may take the port before the controller does; then it says so and ends.
        let admin = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?.local_addr()?;
        let mut command = Command::new(&binary);
        command
            .args(["--lease", &self.lease.to_string(), "--identity", &self.identity])
            .args(["--admin", &admin.to_string()])
            .args(&self.args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("RUST_LOG", &self.log)
            .env_remove("POD_NAME")
            .env_remove("POD_NAMESPACE");
        tied(&mut command);
        let name = format!("controller-{}", self.identity);
        let running = on_lasting_thread(move || Running::spawn(&name, &mut command))?;
        Ok(Controller { running, admin })
    }
}
