//! A node: namespaces and cgroups of its own, with containerd, kubelet and kube-proxy in them.

mod containerd;
mod kubelet;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::binaries::installed;
use super::cgroups::Cgroups;
use super::daemon::Daemon;
use super::machine::Machine;
use super::network::NodeNetwork;
use super::pki::Pki;
use crate::programs::root_path;
use crate::{Image, Netns, eventually, process, spawn};

const CONTAINERD: &str = "/run/containerd/containerd.sock";
const PAUSE: &str = "localhost/pause:1";
const BUSYBOX: &str = "localhost/busybox:1";

/// A node. Dropped, it is gone, as when a machine dies.
#[derive(Debug)]
pub struct Node {
    machine: Machine,
    init: Daemon,
    daemons: Vec<Daemon>,
    _cgroups: Cgroups,
    _netns: Netns,
}

impl Node {
    /// As the API server knows it. No other cluster on this machine has a node of this name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.machine.name
    }

    /// To run programs on it, also from another process.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// See [`Machine::command`].
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.machine.command(program)
    }

    /// Kills its PID 1 and waits until nothing of it runs: the machine dies, without a word to anybody.
    pub fn kill(&self) {
        self.init.kill();
        // The kernel lets a PID 1 end last.
        eventually(Duration::from_secs(10), || (!process::lives(self.machine.init)).then_some(()));
    }

    /// The last lines of what kubelet says.
    pub(super) fn kubelet_log(&self) -> String {
        self.daemons.last().map(Daemon::tail).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How kube-proxy brings packets for a Service to its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyMode {
    /// Its newest way.
    #[default]
    Nftables,
    /// The way of most clusters.
    Iptables,
}

/// What all nodes of a cluster have in common.
pub(super) struct NodeSetup<'a> {
    pub(super) dir: &'a Path,
    pub(super) logs: &'a Path,
    pub(super) pki: &'a Pki,
    /// Where the control plane is.
    pub(super) control: &'a Netns,
    pub(super) proxy: ProxyMode,
}

/// One node while it is started.
struct Site {
    /// Its name within the cluster.
    short: String,
    machine: Machine,
    network: NodeNetwork,
    /// For its programs' configuration.
    dir: PathBuf,
}

impl NodeSetup<'_> {
    /// Makes the images that every node has; returns their archives.
    pub(super) fn images(&self) -> Result<[PathBuf; 2]> {
        let archives = [self.dir.join("pause.tar"), self.dir.join("busybox.tar")];
        let busybox = installed("busybox")?;
        // What holds a pod's namespaces only sleeps.
        let sleep = "trap exit TERM; while :; do busybox sleep 3600 & wait; done";
        Image::new(PAUSE).busybox(&busybox)?.entrypoint(["/bin/sh", "-c", sleep]).write(&archives[0])?;
        Image::new(BUSYBOX).busybox(&busybox)?.entrypoint(["/bin/sh"]).write(&archives[1])?;
        Ok(archives)
    }

    /// Starts a node, up to the point where its kubelet goes on alone.
    pub(super) fn start(&self, index: usize, images: &[PathBuf]) -> Result<Node> {
        let short = format!("node{index}");
        let netns = Netns::new(&short)?;
        let name = netns.path().file_name().and_then(OsStr::to_str).unwrap_or(&short).to_owned();
        let network = NodeNetwork::new(index)?;
        network.connect(&netns, self.control)?;
        let cgroups = Cgroups::new(&name)?;
        let dir = self.dir.join(&short);
        fs::create_dir(&dir)?;

        let init = self.start_init(&short, &name, &netns)?;
        let machine = Machine { init: first_process(&init)?, name };
        let site = Site { short, machine: machine.clone(), network, dir };
        let mut node = Node { machine, init, daemons: Vec::new(), _cgroups: cgroups, _netns: netns };
        node.daemons.push(self.start_containerd(&site)?);
        images.iter().try_for_each(|image| node.machine.load_image(image))?;
        node.daemons.push(self.start_proxy(&site)?);
        node.daemons.push(self.start_kubelet(&site)?);
        Ok(node)
    }

    fn start_init(&self, short: &str, name: &str, netns: &Netns) -> Result<Daemon> {
        let (netns, name) = (netns.path().to_path_buf(), name.to_owned());
        Daemon::start(&format!("{short}-init"), self.logs, move || {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", netns.display()));
            command.args(["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]);
            command.args(["sh", "-c", include_str!("init.sh")]);
            command.env("NODE_NAME", &name).env("PATH", root_path());
            spawn::tied(&mut command);
            command
        })
    }

    /// Starts a program on a node.
    fn daemon(&self, site: &Site, program: PathBuf, args: Vec<String>) -> Result<Daemon> {
        let name = program.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let (log, machine) = (format!("{}-{name}", site.short), site.machine.clone());
        Daemon::start(&log, self.logs, move || {
            let mut command = machine.command(&program);
            command.args(&args);
            spawn::tied(&mut command);
            command
        })
    }
}

/// The process id of a node's PID 1, once its file systems are there.
fn first_process(init: &Daemon) -> Result<u32> {
    let first = || process::children(init.pid()).first().copied();
    let ready = |pid: u32| Path::new(&format!("/proc/{pid}/root/run/node/ready")).exists();
    init.wait(Duration::from_secs(20), || first().is_some_and(ready))?;
    first().context("a node's PID 1 has ended")
}
