//! From nothing to a cluster that is ready.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};

use super::control::ControlPlane;
use super::node::{Node, NodeSetup, ProxyMode};
use super::pki::Pki;
use super::{Cluster, Ours, binaries, cgroups};
use crate::{Scratch, eventually};

type Step = dyn Fn(&str) -> Result<()>;

/// Settings of a cluster.
pub struct ClusterBuilder {
    nodes: usize,
    proxy: ProxyMode,
    simulated: bool,
    scheduler: bool,
    api_server: Vec<String>,
    step: Box<Step>,
}

impl Default for ClusterBuilder {
    fn default() -> Self {
        Self {
            nodes: 0,
            proxy: ProxyMode::default(),
            simulated: false,
            scheduler: true,
            api_server: Vec::new(),
            step: Box::new(|_| Ok(())),
        }
    }
}

impl ClusterBuilder {
    /// This many nodes; none without this.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count;
        self
    }

    /// How kube-proxy works.
    #[must_use]
    pub fn proxy_mode(mut self, mode: ProxyMode) -> Self {
        self.proxy = mode;
        self
    }

    /// Nodes will be objects that a test writes, without a kubelet that reports: they stay as they are.
    #[must_use]
    pub fn simulated_nodes(mut self) -> Self {
        self.simulated = true;
        self
    }

    /// Pods stay unbound: a test does what the scheduler would.
    #[must_use]
    pub fn without_scheduler(mut self) -> Self {
        self.scheduler = false;
        self
    }

    /// The API server shows this certificate, whose key is in the other file, to who asks for the name.
    #[must_use]
    pub fn serves(mut self, name: &str, certificate: &Path, key: &Path) -> Self {
        let (certificate, key) = (certificate.display(), key.display());
        self.api_server.push(format!("--tls-sni-cert-key={certificate},{key}:{name}"));
        self
    }

    /// Is told before each step what it is, and may end the start by failing.
    #[must_use]
    pub fn on_step(mut self, step: impl Fn(&str) -> Result<()> + 'static) -> Self {
        self.step = Box::new(step);
        self
    }

    /// Starts it, and waits until all of it is ready.
    ///
    /// # Errors
    ///
    /// When a program is missing, or does not start.
    pub fn start(&self) -> Result<Cluster> {
        cgroups::remove_stale_once();
        let dir = Scratch::new("cluster")?;
        // It holds the administrator's key.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700))?;
        let logs = dir.path().join("log");
        fs::create_dir(&logs)?;
        let pki = Pki::new(dir.path().join("pki"))?;

        (self.step)("Starting etcd and the API server")?;
        let control = ControlPlane::start(dir.path(), &logs, &pki, self.nodes > 0, &self.api_server)?;
        let mut cluster = Cluster {
            kubectl: binaries::built("kubectl", "kube")?,
            kubeconfig: control.kubeconfig.clone(),
            ours: None,
            namespaces: Mutex::default(),
            dir,
        };
        control.wait_ready(|| cluster.answers())?;
        let ours = cluster.ours.insert(Ours { nodes: Vec::new(), control });

        (self.step)("Starting the controller manager and the scheduler")?;
        let dir = cluster.dir.path().to_path_buf();
        ours.control.start_manager(&dir, &logs, &pki, self.grace())?;
        if self.scheduler {
            ours.control.start_scheduler(&dir, &logs, &pki)?;
        }
        if self.nodes > 0 {
            self.start_nodes(ours, &dir, &logs, &pki)?;
            (self.step)("Waiting for the nodes")?;
            wait_for_nodes(&cluster)?;
        }
        cluster.ask(["wait", "--for=create", "--timeout=60s", "serviceaccount/default"])?;
        Ok(cluster)
    }

    fn start_nodes(&self, ours: &mut Ours, dir: &Path, logs: &Path, pki: &Pki) -> Result<()> {
        let netns = ours.control.netns().context("nodes need the control plane in a namespace")?;
        let setup = NodeSetup { dir, logs, pki, control: netns, proxy: self.proxy };
        let images = setup.images()?;
        for index in 0..self.nodes {
            (self.step)(&format!("Starting node {index}"))?;
            ours.nodes.push(setup.start(index, &images)?);
        }
        Ok(())
    }

    /// How long the controller manager takes a silent node for a living one.
    fn grace(&self) -> &'static str {
        if self.simulated { "87600h" } else { "20s" }
    }
}

fn wait_for_nodes(cluster: &Cluster) -> Result<()> {
    let names: Vec<String> = cluster.nodes().iter().map(|node| format!("node/{}", node.name())).collect();
    let all_ready = || {
        let wait = ["wait", "--for=condition=Ready", "--timeout=2s"].map(str::to_owned);
        cluster.ask(wait.iter().chain(&names)).is_ok()
    };
    let ready = eventually(Duration::from_secs(90), || all_ready().then_some(()));
    let log = || cluster.nodes().iter().map(Node::kubelet_log).collect::<Vec<_>>().join("\n");
    ready.with_context(|| format!("the nodes are not ready after 90 s:\n{}", log()))
}

impl fmt::Debug for ClusterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterBuilder").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}
