//! What kubelets, agents and the test share: how all of them shall behave, who runs where, and what happened.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use byway_api::{Instance, names};
use tokio::sync::watch;

use crate::manner::Rules;
use crate::pod::PodView;
use crate::word::Agent;

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

/// All of it.
pub(crate) struct Shared {
    pub(crate) nodes: Vec<String>,
    pub(crate) rules: RwLock<Rules>,
    /// Who runs on which node.
    pub(crate) instances: Mutex<HashMap<String, Instance>>,
    pub(crate) manners: Mutex<HashMap<String, Agent>>,
    pub(crate) journal: Option<Sender<Happened>>,
    /// Counts what agents have to look at.
    pub(crate) news: watch::Sender<u64>,
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
    pub(crate) fn tell_agents(&self) {
        self.news.send_modify(|n| *n += 1);
    }

    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}
