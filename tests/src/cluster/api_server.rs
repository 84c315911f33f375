//! Disturbing the API server.

use std::ffi::OsStr;
use std::fmt;
use std::process::Command;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::Cluster;
use super::control::ControlPlane;
use super::network::{API_PORT, CONTROL_V4};

/// The API server of a cluster of our own. None of this disturbs etcd, so nothing is forgotten.
#[derive(Clone, Copy)]
pub struct ApiServer<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) control: &'a ControlPlane,
}

impl ApiServer<'_> {
    /// Its address for nodes and pods. Its certificate is for this host, whatever the port.
    pub const FROM_INSIDE: (&'static str, u16) = (CONTROL_V4, API_PORT);

    /// A command that will run a program of the machine beside it, in the cluster's network namespace. It dies with the
    /// thread that spawns it.
    ///
    /// # Errors
    ///
    /// When the cluster has no nodes, and so no namespace.
    pub fn command_beside(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let netns = self.control.netns().context("a cluster without nodes has no namespace of its own")?;
        Ok(netns.command(program))
    }

    /// Stops it from answering; connections stay open, and new ones wait.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn freeze(&self) -> Result<()> {
        self.control.api_server.signal(Signal::SIGSTOP)
    }

    /// Undoes [`ApiServer::freeze`].
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn thaw(&self) -> Result<()> {
        self.control.api_server.signal(Signal::SIGCONT)
    }

    /// Kills it. Its port is refused, but stays its own.
    pub fn kill(&self) {
        self.control.api_server.kill();
    }

    /// Starts it again, with the same arguments, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it is not ready within 90 seconds.
    pub fn restart(&self) -> Result<()> {
        self.control.api_server.restart()?;
        self.control.wait_ready(|| self.cluster.answers())
    }
}

impl fmt::Debug for ApiServer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.control.api_server.fmt(f)
    }
}
