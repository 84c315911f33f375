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
//! Any number of clusters may run at the same time. Everything is a guard, as elsewhere in this crate.

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

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{env, fmt};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

pub use binaries::{kube_bin, kube_version};
pub use builder::{ClusterBuilder, ProxyMode};
pub use machine::Machine;
pub use node::Node;

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

    /// The cluster that `KUBECONFIG` names.
    fn given() -> Option<Result<Self>> {
        let kubeconfig = PathBuf::from(env::var_os("KUBECONFIG").filter(|value| !value.is_empty())?);
        Some(Scratch::new("cluster").and_then(|dir| {
            let kubectl = binaries::built("kubectl", "kube").ok().or_else(|| find_program("kubectl"));
            let kubectl = kubectl.context("no kubectl: run `cargo xtask setup kube`")?;
            Ok(Self { ours: None, kubectl, kubeconfig, namespaces: Mutex::default(), dir })
        }))
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

    /// `kubectl` as administrator.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig);
        // By address and port it would remember the kinds of another cluster.
        command.env("KUBECACHEDIR", self.dir.path().join("kubectl"));
        command
    }

    /// `helm` as administrator, with nothing of the user's own.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn helm(&self) -> Result<Command> {
        let helm = binaries::built("helm", "helm").or_else(|e| find_program("helm").ok_or(e))?;
        let mut command = Command::new(helm);
        command.env("KUBECONFIG", &self.kubeconfig);
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{kind}_HOME"), self.dir.path().join("helm"));
        }
        Ok(command)
    }

    /// What `kubectl` with these arguments prints.
    ///
    /// # Errors
    ///
    /// When it fails; says what it wrote to stderr.
    pub fn ask<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        finish(self.kubectl().args(args), "")
    }

    /// Applies objects, in YAML or JSON, on the server's side.
    ///
    /// # Errors
    ///
    /// When the server refuses one.
    pub fn apply(&self, objects: &str) -> Result<()> {
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        finish(self.kubectl().args(args), objects).map(drop)
    }

    /// Makes a namespace whose name starts so, and waits for its default service account: before that, no pod
    /// is admitted.
    ///
    /// # Errors
    ///
    /// When there is no such account within 30 seconds.
    pub fn namespace(&self, prefix: &str) -> Result<String> {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "generateName": format!("{prefix}-") },
        });
        let args = ["create", "-f", "-", "-o", "jsonpath={.metadata.name}"];
        let name = finish(self.kubectl().args(args), &object.to_string())?;
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let account = ["wait", "--for=create", "--timeout=30s", "serviceaccount/default", "-n", &name];
        self.ask(account)?;
        Ok(name)
    }

    /// A kubeconfig with a token of a service account, good for an hour and, if a pod is given by its name and
    /// UID, bound to it as the tokens in pods are.
    ///
    /// # Errors
    ///
    /// When there is no such account or pod.
    pub fn kubeconfig_for(
        &self,
        namespace: &str,
        account: &str,
        pod: Option<(&str, &str)>,
    ) -> Result<PathBuf> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut create = self.kubectl();
        create.args(["create", "token", account, "-n", namespace, "--duration=1h"]);
        if let Some((name, uid)) = pod {
            create.args(["--bound-object-kind=Pod", "--bound-object-name", name, "--bound-object-uid", uid]);
        }
        let token = finish(&mut create, "")?;
        let view = self.ask(["config", "view", "--raw", "--minify", "--flatten", "-o", "json"])?;
        let view: Value = serde_json::from_str(&view)?;
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = self.dir.path().join(format!("{account}-{n}.yaml"));
        pki::write_kubeconfig(&file, &view["clusters"][0]["cluster"], &json!({ "token": token.trim() }))?;
        Ok(file)
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

/// The API server of a cluster of our own. None of this disturbs etcd, so nothing is forgotten.
#[derive(Clone, Copy)]
pub struct ApiServer<'a> {
    cluster: &'a Cluster,
    control: &'a ControlPlane,
}

impl ApiServer<'_> {
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

impl Cluster {
    /// True once the API server is ready.
    fn answers(&self) -> bool {
        self.ask(["get", "--raw", "/readyz", "--request-timeout=5s"]).is_ok()
    }
}

/// Runs a command to its end, with `input` as its stdin; returns its stdout.
fn finish(command: &mut Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().to_owned();
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it ends without reading all of it, its status and stderr tell more.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed with {}:\n{stderr}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
