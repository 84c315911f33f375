//! A pod from outside: the machine's programs, in the pod's network namespace.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Cluster;
use crate::spawn;

impl Cluster {
    /// A command that will run a program of the machine in the network namespace of a pod on one of our nodes.
    /// It dies with the thread that spawns it.
    ///
    /// # Errors
    ///
    /// When there is no such pod, or nothing of it runs.
    pub fn pod_command(
        &self,
        namespace: &str,
        pod: &str,
        program: impl AsRef<std::ffi::OsStr>,
    ) -> Result<Command> {
        let uid = self.ask(["get", "pod", pod, "-n", namespace, "-o", "jsonpath={.metadata.uid}"])?;
        let netns = pod_netns(&uid).with_context(|| format!("nothing runs of {namespace}/{pod}"))?;
        let mut command = Command::new(program);
        spawn::in_namespace(&mut command, netns);
        Ok(command)
    }
}

/// The network namespace of a process in a cgroup of the pod. While a container starts, a process of the
/// runtime is in it, too, which is still in our own.
fn pod_netns(uid: &str) -> Option<File> {
    let own = fs::metadata("/proc/self/ns/net").ok()?.ino();
    let cgroup = format!("/pod{uid}/");
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let of_pod = |process: &Path| {
        fs::read_to_string(process.join("cgroup")).is_ok_and(|cgroups| cgroups.contains(&cgroup))
    };
    processes
        .filter(|process| of_pod(process))
        .filter_map(|process| File::open(process.join("ns/net")).ok())
        .find(|netns| netns.metadata().is_ok_and(|ns| ns.ino() != own))
}
