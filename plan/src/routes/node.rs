//! What one node should steer, as it grows. It refers to what previews share: the tables of a thousand nodes as values
//! would be a hundred megabytes on each change.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use byway_api::{Environment, NodeTable, PreviewRoute, Target, Unkeyed, names};

use crate::rows::{PodRow, Ref};

/// Most bytes of a table. etcd takes objects of 1.5 MiB; in a text, quotes take two bytes, and the status needs room too.
const MOST: usize = 768 << 10;

/// A pod that is to be steered for a Preview.
pub(super) struct Steered<'a> {
    pub(super) pod: &'a PodRow,
    pub(super) is_ready: bool,
    pub(super) unkeyed: Unkeyed,
}

/// What is wanted of one pod.
struct Pod<'a> {
    row: &'a PodRow,
    ports: BTreeSet<u16>,
    /// Ports that are said to speak HTTP/2.
    http2: BTreeSet<u16>,
    /// Indices of [`Node::previews`].
    previews: Vec<usize>,
    unkeyed: Unkeyed,
    armed: bool,
}

/// A node.
#[derive(Default)]
pub(super) struct Node<'a> {
    /// With their revision here.
    previews: Vec<(Arc<PreviewRoute>, String)>,
    pods: BTreeMap<&'a Ref, Pod<'a>>,
}

/// What a node's agent has to acknowledge. It speaks of previews, not of targets: were a new target, or a port, not part of
/// it, then what the agent said before would count for what it has not seen yet. The addresses of its environment are not: each
/// pod of any preview of the key would make all of them wait for all of their agents, and their counts go down and up.
pub(super) fn revision(route: &PreviewRoute, targets: &[Steered]) -> String {
    let mut parts = vec![route.revision.clone()];
    for Steered { pod, .. } in targets {
        parts.push(pod.uid.to_string());
        parts.extend(pod.ips.iter().map(ToString::to_string));
    }
    names::hash(&parts, 12)
}

impl<'a> Node<'a> {
    /// Adds a preview with the pods that are steered for it.
    pub(super) fn add(
        &mut self,
        route: &Arc<PreviewRoute>,
        revision: String,
        targets: Vec<Steered<'a>>,
        http2: &BTreeSet<u16>,
    ) {
        for wanted in targets {
            let index = self.previews.len();
            let pod = self.steer(wanted.pod, wanted.unkeyed);
            pod.ports.extend(&route.ports);
            pod.http2.extend(http2);
            pod.previews.push(index);
        }
        self.previews.push((route.clone(), revision));
    }

    /// Adds a pod that is steered ahead of any preview.
    pub(super) fn arm(&mut self, row: &'a PodRow, ports: &BTreeSet<u16>, http2: &BTreeSet<u16>) {
        let pod = self.steer(row, Unkeyed::App);
        pod.ports.extend(ports);
        pod.http2.extend(http2);
        pod.armed = true;
    }

    fn steer(&mut self, row: &'a PodRow, unkeyed: Unkeyed) -> &mut Pod<'a> {
        let (ports, http2) = (BTreeSet::new(), BTreeSet::new());
        let empty = || Pod { row, ports, http2, previews: Vec::new(), unkeyed, armed: false };
        self.pods.entry(&row.name).or_insert_with(empty)
    }

    /// The [`NodeTable`] as text, and the names of previews, the newest first, for which there is no room in it.
    pub(super) fn table(mut self, environments: &BTreeMap<&str, Environment>) -> (String, Vec<String>) {
        let mut out = Vec::new();
        loop {
            // Values that cannot fail to serialise.
            let text = serde_json::to_string(&self.value(environments)).unwrap_or_default();
            if text.len() <= MOST {
                return (text, out);
            }
            // One is not enough where there is far too much, and each try writes all of it.
            let surplus = self.previews.len() * (text.len() - MOST) / text.len();
            for _ in 0..surplus.max(1) {
                let Some((last, _)) = self.previews.pop() else { return (text, out) };
                out.push(last.name.clone());
            }
            let left = self.previews.len();
            for pod in self.pods.values_mut() {
                pod.previews.retain(|index| *index < left);
            }
            self.pods.retain(|_, pod| pod.armed || !pod.previews.is_empty());
        }
    }

    fn value(&self, environments: &BTreeMap<&str, Environment>) -> NodeTable {
        let keys: BTreeSet<&str> = self.previews.iter().map(|(route, _)| route.key.as_str()).collect();
        let previews = self.previews.iter().map(|(route, revision)| {
            let revision = revision.clone();
            PreviewRoute { revision, ..PreviewRoute::clone(route) }
        });
        let answering = self.previews.iter().flat_map(|(route, _)| &route.backends).flat_map(|it| &it.ips);
        let answering: HashSet<&IpAddr> = answering.collect();
        let others = keys.iter().filter_map(|key| {
            let mut environment = environments.get(key)?.clone();
            environment.ips.retain(|ip| !answering.contains(ip));
            (!environment.ips.is_empty()).then_some(environment)
        });
        NodeTable {
            previews: previews.collect(),
            environments: others.collect(),
            targets: self.pods.values().map(|pod| self.target(pod)).collect(),
        }
    }

    fn target(&self, pod: &Pod) -> Target {
        Target {
            pod_uid: Some(pod.row.uid.to_string()),
            netns: None,
            name: pod.row.name.to_string(),
            ips: pod.row.ips.clone(),
            ports: pod.ports.iter().copied().collect(),
            http2: pod.http2.intersection(&pod.ports).copied().collect(),
            previews: pod.previews.iter().map(|index| self.previews[*index].0.name.clone()).collect(),
            unkeyed: pod.unkeyed,
            armed: pod.armed,
        }
    }
}
