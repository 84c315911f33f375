//! The simulation as a whole, as a test sets it up and changes it.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::agents::{self, Agents};
use crate::kubelet::{self, Kubelets, Note};
use crate::manner::{Does, Pods};
use crate::objects::Kube;
use crate::shared::{Happened, Shared};
use crate::word::Agent;
use crate::{nodes, runtime};

/// The namespace of the agents.
const NAMESPACE: &str = "byway";

/// A simulation. Dropped, nothing happens on its nodes any more; its objects stay.
pub struct Sim {
    kube: Kube,
    shared: Arc<Shared>,
    kubelets: UnboundedSender<Note>,
    tasks: Vec<JoinHandle<()>>,
}

/// Settings of a simulation.
pub struct SimBuilder<'a> {
    kube: &'a Kube,
    nodes: usize,
    agents: bool,
    each_watches: bool,
    journal: Option<Sender<Happened>>,
}

impl Sim {
    /// Without nodes, unless told otherwise.
    #[must_use]
    pub fn builder(kube: &Kube) -> SimBuilder<'_> {
        SimBuilder { kube, nodes: 0, agents: true, each_watches: false, journal: None }
    }

    /// The name of a node, the first being 0.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn node(&self, index: usize) -> &str {
        &self.shared.nodes[index]
    }

    /// The names of all nodes.
    #[must_use]
    pub fn nodes(&self) -> &[String] {
        &self.shared.nodes
    }

    /// Has pods behave so from now on. Of several things said of a pod the last counts.
    pub fn pods(&self, pods: Pods, does: Does) {
        self.shared.rules.write().unwrap_or_else(PoisonError::into_inner).say(pods, does);
        let _ = self.kubelets.send(Note::Rules); // a receiver that is gone means that it has ended
    }

    /// Changes how the agent of a node behaves.
    pub fn agent(&self, node: &str, change: impl FnOnce(&mut Agent)) {
        change(self.shared.manners().entry(node.to_owned()).or_default());
        self.shared.tell_agents();
    }

    /// Starts an agent on a node.
    ///
    /// # Errors
    ///
    /// When the API server does not take its pod.
    pub fn start_agent(&self, node: &str) -> Result<()> {
        runtime::block(agents::create(&self.kube.client, NAMESPACE, &[node.to_owned()]))
    }

    /// Removes the agent of a node.
    ///
    /// # Errors
    ///
    /// When the API server does not take it.
    pub fn stop_agent(&self, node: &str) -> Result<()> {
        self.kube.delete("Pod", NAMESPACE, &agents::pod_name(node))
    }

    /// Has the agent's container run since now: what it said before counts no more.
    pub fn restart_agent(&self, node: &str) {
        let pods = Pods::named(&agents::pod_name(node)).of_namespace(NAMESPACE);
        let now = Timestamp::now();
        self.pods(pods, Does::RestartedAt(Timestamp::from_second(now.as_second()).unwrap_or(now)));
    }

    /// Has the agent's pod be not ready, or ready again.
    pub fn agent_is_ready(&self, node: &str, is_ready: bool) {
        let pods = Pods::named(&agents::pod_name(node)).of_namespace(NAMESPACE);
        let ready = Does::RunsAfter(std::time::Duration::ZERO);
        self.pods(pods, if is_ready { ready } else { Does::IsNotReady });
    }

    /// Lets no pods on a node from now on, but those that name it in a `matchFields` of their node affinity.
    pub fn cordon(&self, node: &str) {
        self.shared.rules.write().unwrap_or_else(PoisonError::into_inner).cordoned.push(node.to_owned());
    }

    /// Has a node die: its pods stay as they are, but for not being ready, and its agent says nothing.
    pub fn node_dies(&self, node: &str) {
        self.agent(node, |agent| agent.silent = true);
        self.shared.rules.write().unwrap_or_else(PoisonError::into_inner).dead.push(node.to_owned());
        let _ = self.kubelets.send(Note::Rules); // as above
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl SimBuilder<'_> {
    /// This many nodes, with an agent each.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count;
        self
    }

    /// No agents: [`Sim::start_agent`] starts one.
    #[must_use]
    pub fn without_agents(mut self) -> Self {
        self.agents = false;
        self
    }

    /// Each agent watches its own object, as real ones do. Otherwise one watch serves all, which is cheaper.
    #[must_use]
    pub fn each_agent_watches(mut self) -> Self {
        self.each_watches = true;
        self
    }

    /// Tells what happens, and when.
    #[must_use]
    pub fn journal(mut self, journal: Sender<Happened>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Makes nodes and agents, and waits until the agents are ready.
    ///
    /// # Errors
    ///
    /// When the API server does not take them.
    pub fn start(self) -> Result<Sim> {
        let kube = self.kube.clone();
        let nodes: Vec<String> = (0..self.nodes).map(|n| format!("node-{n}")).collect();
        let (notes, seen) = kubelet::notes();
        let shared = Arc::new(Shared {
            nodes: nodes.clone(),
            rules: RwLock::default(),
            instances: Mutex::default(),
            manners: Mutex::default(),
            journal: self.journal,
            news: watch::Sender::default(),
        });
        runtime::block(nodes::create(&kube.client, &nodes))?;
        let kubelets = Kubelets::new(kube.client.clone(), shared.clone(), notes.clone());
        let mut tasks = vec![runtime::spawn(kubelets.run(seen))];
        let watchers =
            if self.each_watches { nodes.clone().into_iter().map(Some).collect() } else { vec![None] };
        for node in watchers {
            let (sender, seen) = agents::notes();
            let one = Agents::new(kube.client.clone(), shared.clone(), sender, node);
            tasks.push(runtime::spawn(one.run(seen)));
        }
        let sim = Sim { kube, shared, kubelets: notes, tasks };
        if self.agents {
            sim.start_agents(&nodes)?;
        }
        Ok(sim)
    }
}

impl Sim {
    fn start_agents(&self, nodes: &[String]) -> Result<()> {
        let namespace = serde_json::json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE },
        });
        self.kube.apply(&namespace)?;
        self.kube.wait_for_account(NAMESPACE)?;
        runtime::block(agents::create(&self.kube.client, NAMESPACE, nodes))?;
        let all = || (self.shared.instances().len() >= nodes.len()).then_some(());
        let patience = std::time::Duration::from_secs(30 + nodes.len() as u64);
        byway_tests::eventually(patience, all).context("the simulated agents do not get ready")
    }
}
