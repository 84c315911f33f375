//! A real Kubernetes cluster on this machine, without a container engine and without the internet.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let cluster = byway_tests::Cluster::with_nodes(2)?;
//! let namespace = cluster.namespace("demo")?;
//! cluster.apply(&format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, namespace: {namespace}}}}}"))?;
//! println!("{}", cluster.ask(["get", "configmaps", "-n", &namespace])?);
//! cluster.node(0).kill();
//! # Ok(())
//! # }
//! ```
//!
//! The control plane alone needs no root: it is four processes that listen on one port of 127.0.0.1. With
//! nodes it sits in a network namespace, and each node is a network, mount, PID and UTS namespace with
//! containerd, kubelet and kube-proxy. All share one kernel: its clock, its BPF objects, its processors.
//! There is no DNS server, and no way out of the machine.
//!
//! Any number of clusters may run at the same time. Everything is a guard, as elsewhere in this crate. Tests of
//! one file may share a cluster through a `static`, which is never dropped: its processes end with the test's
//! process, and the next process that makes a cluster removes the files.

mod access;
mod api_server;
mod binaries;
mod builder;
mod cgroups;
mod control;
mod daemon;
mod forward;
mod machine;
mod network;
mod node;
mod pki;
mod pods;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

pub use api_server::ApiServer;
pub use binaries::{kube_bin, kube_version};
pub use builder::ClusterBuilder;
pub use machine::Machine;
pub use node::{Node, ProxyMode};

use crate::{Scratch, find_program};
use control::ControlPlane;

/// A cluster. Dropped, it is gone with everything in it.
#[derive(Debug)]
pub struct Cluster {
    ours: Option<Ours>,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    /// To be deleted from a cluster that stays.
    namespaces: Mutex<Vec<String>>,
    dir: Scratch,
}

/// What runs for a cluster of our own. Nodes go before what they talk to.
#[derive(Debug)]
struct Ours {
    nodes: Vec<Node>,
    control: ControlPlane,
}

impl Cluster {
    /// A cluster without nodes; if the environment's `KUBECONFIG` names one, that.
    ///
    /// # Errors
    ///
    /// When a program is missing, or does not start.
    pub fn control_plane() -> Result<Self> {
        Self::given().unwrap_or_else(|| Self::builder().start())
    }

    /// A cluster with this many nodes, all of them ready; if the environment's `KUBECONFIG` names one, that.
    /// Needs root.
    ///
    /// # Errors
    ///
    /// When a program is missing, or does not start.
    pub fn with_nodes(count: usize) -> Result<Self> {
        Self::given().unwrap_or_else(|| Self::builder().nodes(count).start())
    }

    /// To start one of our own with other settings, whatever `KUBECONFIG` says.
    #[must_use]
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// Removes what clusters of killed processes left behind.
    pub fn remove_stale() {
        crate::netns::remove_stale();
        cgroups::remove_stale();
        crate::scratch::remove_stale();
    }

    /// A cluster that somebody else brought.
    ///
    /// # Errors
    ///
    /// When there is no `kubectl`.
    pub fn from_kubeconfig(kubeconfig: &Path) -> Result<Self> {
        let kubectl = binaries::built("kubectl", "kube").or_else(|e| find_program("kubectl").ok_or(e))?;
        let (kubeconfig, dir) = (kubeconfig.to_path_buf(), Scratch::new("cluster")?);
        Ok(Self { ours: None, kubectl, kubeconfig, namespaces: Mutex::default(), dir })
    }

    /// The one that `KUBECONFIG` names.
    fn given() -> Option<Result<Self>> {
        let kubeconfig = env::var_os("KUBECONFIG").filter(|value| !value.is_empty())?;
        Some(Self::from_kubeconfig(Path::new(&kubeconfig)))
    }

    /// False if somebody else brought the cluster: then nothing may be done that others would notice.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.ours.is_some()
    }

    /// For the administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The API server, to be disturbed.
    ///
    /// # Errors
    ///
    /// When it is somebody else's.
    pub fn api_server(&self) -> Result<ApiServer<'_>> {
        let ours =
            self.ours.as_ref().context("KUBECONFIG names the cluster: its API server is left alone")?;
        Ok(ApiServer { cluster: self, control: &ours.control })
    }

    /// Its nodes; none if it is somebody else's.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        self.ours.as_ref().map_or(&[], |ours| &ours.nodes)
    }

    /// A node, the first one being 0.
    ///
    /// # Panics
    ///
    /// If there is none, or the cluster is somebody else's.
    #[must_use]
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes()[index]
    }

    /// Imports an image, as [`Image::write`](crate::Image::write) makes it, on all nodes.
    ///
    /// # Errors
    ///
    /// When containerd does not understand it, or the nodes are somebody else's.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        ensure!(self.is_ours(), "KUBECONFIG names the cluster: its nodes' images are not ours to load");
        self.nodes().iter().try_for_each(|node| node.machine().load_image(archive))
    }

    /// The folder of its programs' logs, if they are ours.
    #[must_use]
    pub fn logs(&self) -> Option<PathBuf> {
        self.is_ours().then(|| self.dir.path().join("log"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !self.is_ours() && !namespaces.is_empty() {
            let _ = self
                .ask(["delete", "namespace", "--wait=false"].map(str::to_owned).iter().chain(&namespaces));
        }
    }
}
