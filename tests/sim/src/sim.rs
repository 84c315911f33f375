//! The simulation as a whole: what a test sets up, and what all parts of it share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use anyhow::{Context as _, Result};
use byway_api::{Instance, names};
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::agents::{self, Agent, Agents};
use crate::kubelet::{self, Does, Kubelets, Note, PodView, Pods, Rules};
use crate::objects::Kube;
use crate::{nodes, runtime};

/// The namespace of the agents.
const NAMESPACE: &str = "byway";

/// Something that a measurement wants to know the time of.
#[derive(Clone, Debug)]
pub enum Happened {
    /// The API server has taken that a pod's containers are ready.
    PodReady {
        /// Of the pod.
        namespace: String,
        /// Of the pod.
        name: String,
        /// Its first address.
        ip: String,
        /// When the answer was there.
        at: Instant,
    },
    /// The API server has taken an acknowledgement.
    Acknowledged {
        /// The agent's.
        node: String,
        /// First addresses of backends that it routes to from now on.
        backends: Vec<String>,
        /// When the answer was there.
        at: Instant,
    },
}

/// A simulation. Dropped, nothing happens on its nodes any more; its objects stay.
pub struct Sim {
    kube: Kube,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// Settings of a simulation.
pub struct SimBuilder<'a> {
    kube: &'a Kube,
    nodes: usize,
    agents: bool,
    each_watches: bool,
    journal: Option<UnboundedSender<Happened>>,
}

/// What kubelets, agents and the test share.
pub(crate) struct Shared {
    nodes: Vec<String>,
    rules: RwLock<Rules>,
    /// Who runs on which node.
    pub(crate) instances: Mutex<HashMap<String, Instance>>,
    pub(crate) manners: Mutex<HashMap<String, Agent>>,
    journal: Option<UnboundedSender<Happened>>,
    pods: UnboundedSender<Note>,
    /// Counts what agents have to look at.
    news: watch::Sender<u64>,
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
        let _ = self.shared.pods.send(Note::Rules); // a receiver that is gone means that it has ended
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
        let _ = self.shared.pods.send(Note::Rules); // as above
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
    pub fn journal(mut self, journal: UnboundedSender<Happened>) -> Self {
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
        let (pods, seen) = kubelet::notes();
        let shared = Arc::new(Shared {
            nodes: nodes.clone(),
            rules: RwLock::default(),
            instances: Mutex::default(),
            manners: Mutex::default(),
            journal: self.journal,
            pods: pods.clone(),
            news: watch::Sender::default(),
        });
        runtime::block(nodes::create(&kube.client, &nodes))?;
        let kubelets = Kubelets::new(kube.client.clone(), shared.clone(), pods);
        let mut tasks = vec![runtime::spawn(kubelets.run(seen))];
        let watchers =
            if self.each_watches { nodes.clone().into_iter().map(Some).collect() } else { vec![None] };
        for node in watchers {
            let (notes, seen) = agents::notes();
            let one = Agents::new(kube.client.clone(), shared.clone(), notes, node);
            tasks.push(runtime::spawn(one.run(seen)));
        }
        let sim = Sim { kube, shared, tasks };
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

impl Shared {
    pub(crate) fn rules(&self) -> RwLockReadGuard<'_, Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn instances(&self) -> MutexGuard<'_, HashMap<String, Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn manners(&self) -> MutexGuard<'_, HashMap<String, Agent>> {
        self.manners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nodes that could have a pod.
    pub(crate) fn nodes_for(&self, pod: &PodView) -> Vec<String> {
        let (wanted, rules) = (pod.wanted_nodes(), self.rules());
        let may = |it: &&String| {
            let is_open =
                if wanted.is_empty() { !rules.cordoned.contains(it) } else { wanted.contains(&it.as_str()) };
            is_open && !rules.dead.contains(it)
        };
        self.nodes.iter().filter(may).cloned().collect()
    }

    pub(crate) fn happened(&self, what: impl FnOnce(Instant) -> Happened) {
        if let Some(journal) = &self.journal {
            let _ = journal.send(what(Instant::now())); // nobody may listen any more
        }
    }

    /// Takes note of an agent that runs. What runs on a node as one since then is another one.
    pub(crate) fn saw_agent(&self, pod: &PodView) {
        if pod.label(names::COMPONENT_LABEL) != Some(names::AGENT_COMPONENT) {
            return;
        }
        let (Some(node), Some(started_at)) = (&pod.spec.node_name, pod.started_at()) else { return };
        let instance = Instance { pod_uid: pod.uid(), started_at };
        let before = self.instances().insert(node.clone(), instance.clone());
        if before.as_ref() != Some(&instance) {
            self.tell_agents();
        }
    }

    pub(crate) fn agent_gone(&self, pod: &PodView) {
        let Some(node) = &pod.spec.node_name else { return };
        let mut instances = self.instances();
        if instances.get(node).is_some_and(|it| it.pod_uid == pod.uid()) {
            instances.remove(node);
        }
    }

    /// Wakes agents.
    fn tell_agents(&self) {
        self.news.send_modify(|n| *n += 1);
    }

    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}
