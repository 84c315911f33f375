//! What is known of a running cluster to those who did not start it: a file in the cache, by the cluster's name.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use byway_tests::{Machine, eventually, started_at};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A cluster and the process that holds it.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    holder: u32,
    /// When the holder started: a later process of this id is none of ours.
    started: u64,
    pub(super) kubeconfig: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) machines: Vec<Machine>,
}

impl Record {
    /// Of a cluster that this process holds.
    pub(super) fn of(cluster: &byway_tests::Cluster) -> Result<Self> {
        let holder = std::process::id();
        Ok(Self {
            holder,
            started: started_at(holder).context("/proc is not mounted")?,
            kubeconfig: cluster.kubeconfig().to_path_buf(),
            logs: cluster.logs().context("the cluster is not ours")?,
            machines: cluster.nodes().iter().map(|node| node.machine().clone()).collect(),
        })
    }

    /// Of a cluster that runs.
    pub(super) fn find(name: &str) -> Result<Self> {
        let none = || format!("no cluster {name:?} runs: `cargo xtask cluster up`");
        let text = fs::read(path(name)?).with_context(none)?;
        let record: Self = serde_json::from_slice(&text).with_context(none)?;
        record.runs().then_some(record).with_context(none)
    }

    pub(super) fn write(&self, name: &str) -> Result<()> {
        Ok(fs::write(path(name)?, serde_json::to_vec_pretty(self)?)?)
    }

    /// Removes the file, and the holder's log.
    pub(super) fn forget(name: &str) -> Result<()> {
        for file in [path(name)?, log(name)?] {
            match fs::remove_file(file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Asks the holder to end, and with it the cluster; kills it if it does not.
    pub(super) fn end(&self) -> Result<()> {
        let holder = Pid::from_raw(i32::try_from(self.holder)?);
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if self.runs() {
                kill(holder, signal)?;
            }
            if eventually(Duration::from_secs(20), || (!self.runs()).then_some(())).is_some() {
                return Ok(());
            }
        }
        anyhow::bail!("process {} holds the cluster and does not end", self.holder)
    }

    /// kubectl or helm for this cluster, with nothing of the user's own.
    pub(super) fn tool(&self, program: &str) -> Result<Command> {
        let mut command = Command::new(byway_tests::kube_bin()?.join(program));
        for (name, value) in self.variables() {
            command.env(name, value);
        }
        Ok(command)
    }

    /// For a shell.
    pub(super) fn environment(&self) -> Result<String> {
        let bin = byway_tests::kube_bin()?;
        let lines = self.variables().map(|(name, value)| format!("export {name}='{}'\n", value.display()));
        Ok(format!("{}export PATH='{}':\"$PATH\"", lines.concat(), bin.display()))
    }

    fn variables(&self) -> [(&'static str, PathBuf); 2] {
        // By address and port, kubectl would remember the kinds of an earlier cluster.
        let cache = self.kubeconfig.with_file_name("kubectl");
        [("KUBECONFIG", self.kubeconfig.clone()), ("KUBECACHEDIR", cache)]
    }

    fn runs(&self) -> bool {
        started_at(self.holder) == Some(self.started)
    }
}

/// What the holder says when it cannot start the cluster.
pub(super) fn log(name: &str) -> Result<PathBuf> {
    Ok(path(name)?.with_extension("log"))
}

fn path(name: &str) -> Result<PathBuf> {
    let folder = byway_tests::cache_dir()?.join("cluster");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}.json")))
}
