//! Between a controller and the API server: counts what is written, holds it up, refuses it, cuts it off, and kills the
//! controller at a write of one's choice.
//!
//! Plain HTTP towards the controller, TLS towards the API server, as administrator.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use byway_tests::Scratch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::objects::Kube;
use crate::runtime;

mod forward;
mod write;

pub use write::Write;

/// A proxy. Dropped, nobody gets through any more.
pub struct ApiProxy {
    state: Arc<State>,
    server: JoinHandle<()>,
    kubeconfig: PathBuf,
    _scratch: Scratch,
}

/// When a process is killed: counted from 1, leases aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// Before this write reaches the API server.
    Before(usize),
    /// After the API server has done it, and before its answer is passed on.
    After(usize),
}

#[derive(Default)]
struct State {
    writes: Mutex<Vec<Write>>,
    victim: Mutex<Option<(Kill, u32)>>,
    refused: Mutex<Vec<(String, u16)>>,
    frozen: watch::Sender<bool>,
    expired: watch::Sender<()>,
    cut: watch::Sender<u64>,
}

impl ApiProxy {
    /// Starts one in front of an API server.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn start(kube: &Kube) -> Result<Self> {
        let scratch = Scratch::new("proxy")?;
        let listener = runtime::block(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let server = format!("http://{}", listener.local_addr()?);
        let kubeconfig = scratch.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "proxy", "cluster": { "server": server } }],
            "users": [{ "name": "nobody", "user": {} }],
            "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "nobody" } }],
            "current-context": "proxy",
        });
        fs::write(&kubeconfig, config.to_string())?;
        let state = Arc::new(State::default());
        let server = runtime::spawn(forward::serve(listener, kube.client.clone(), state.clone()));
        Ok(Self { state, server, kubeconfig, _scratch: scratch })
    }

    /// For who shall go through it.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What was written so far, in the order of its coming, leases aside.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.state.writes().iter().filter(|it| it.resource != "leases").cloned().collect()
    }

    /// When something was written last, a lease included.
    #[must_use]
    pub fn last_write(&self) -> Option<Instant> {
        self.state.writes().last().map(|it| it.at)
    }

    /// Forgets what was written so far.
    pub fn reset(&self) {
        self.state.writes().clear();
    }

    /// Kills a process at a write, counted from the last [`ApiProxy::reset`].
    pub fn kill_at(&self, at: Kill, pid: u32) {
        *self.state.victim() = Some((at, pid));
    }

    /// Holds up everything, or lets it go on. Connections stay open.
    pub fn freeze(&self, is_frozen: bool) {
        self.state.frozen.send_replace(is_frozen);
    }

    /// Answers with this status, from now on, where method and path contain this text, as in `PATCH /api/v1/`.
    pub fn refuse(&self, what: &str, status: u16) {
        self.state.refused().push((what.to_owned(), status));
    }

    /// Passes everything on again.
    pub fn refuse_nothing(&self) {
        self.state.refused().clear();
    }

    /// Ends the watches that run as an API server does that has forgotten what they have seen last: 410 Gone.
    pub fn expire_watches(&self) {
        self.state.expired.send_replace(());
    }

    /// Closes all connections; new ones are taken.
    pub fn drop_connections(&self) {
        self.state.cut.send_modify(|n| *n += 1);
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.server.abort();
        self.drop_connections();
    }
}

impl State {
    fn writes(&self) -> MutexGuard<'_, Vec<Write>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn victim(&self) -> MutexGuard<'_, Option<(Kill, u32)>> {
        self.victim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, Vec<(String, u16)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With which status a request is refused.
    fn refusal(&self, request: &str) -> Option<u16> {
        self.refused().iter().find(|(what, _)| request.contains(what)).map(|(_, status)| *status)
    }

    /// Takes note of a write; its number, leases aside.
    fn came(&self, write: Write) -> Option<usize> {
        let is_lease = write.resource == "leases";
        let mut writes = self.writes();
        writes.push(write);
        (!is_lease).then(|| writes.iter().filter(|it| it.resource != "leases").count())
    }

    /// Kills whoever is to be killed now.
    fn kill_if(&self, now: Kill) -> bool {
        let mut victim = self.victim();
        let Some((_, pid)) = victim.filter(|(at, _)| *at == now) else { return false };
        *victim = None;
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL); // it may have ended by itself
        true
    }
}
