//! All that the controller knows: tables that watches fill, what came to each Preview, and what became of each clone.
//!
//! Plain data. [`plan`](crate::routes) and [`status`](crate::status) are functions of it and of the time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use byway_api::{Preview, PreviewTarget, TargetKind};
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::identity::uid_of;
use crate::outcome::CloneOutcome;
use crate::rows::{
    AgentRow, ChildRow, Name, NamespaceRow, PodRow, PodTemplateRow, PreviewPodRow, PublishedRow, Ref,
    ServiceRow, TemplateOf, TemplateRow, WorkloadRow,
};
use crate::scope::{Pods, Scope};
use crate::selectors;
use crate::table::Table;
use crate::traffic::Sums;
use crate::update::Update;

/// The tables.
#[derive(Debug, Default)]
pub struct World {
    /// Previews.
    pub previews: Table<Ref, Arc<Preview>>,
    /// Deployments that Previews own.
    pub children: Table<Ref, ChildRow>,
    /// Pods of previews, by UID.
    pub preview_pods: Table<Name, PreviewPodRow>,
    /// Pods of agents, by UID.
    pub agents: Table<Name, AgentRow>,
    /// UIDs of nodes.
    pub nodes: Table<Name, Name>,
    /// Namespaces.
    pub namespaces: Table<Name, NamespaceRow>,
    /// What agents have programmed, by node.
    pub node_routes: Table<Name, PublishedRow>,
    /// PodTemplates, from which Rollouts may take theirs.
    pub pod_templates: Table<Ref, PodTemplateRow>,
    /// Workloads by kind.
    pub workloads: BTreeMap<TargetKind, Table<Ref, WorkloadRow>>,
    /// Services.
    pub services: Table<Ref, ServiceRow>,
    /// PodDisruptionBudgets.
    pub budgets: Table<Ref, LabelSelector>,
    /// NetworkPolicies but those of previews.
    pub policies: Table<Ref, Box<NetworkPolicySpec>>,
    /// `metadata.generation` of NetworkPolicies that Previews own.
    pub own_policies: Table<Ref, i64>,
    /// Pods of targets.
    pub targets: HashMap<Scope, Table<Name, PodRow>>,
    /// Which pods the target of each Preview is, or was until it was deleted, by UID of the Preview.
    pub scopes: HashMap<Name, Scope>,
    /// What came to each Preview.
    pub traffic: Sums,
    /// What became of each clone, by UID of the Preview.
    pub clones: HashMap<Name, CloneOutcome>,
}

/// Kinds that are watched as workloads: pods are found by their name.
const WATCHED: [TargetKind; 5] = [
    TargetKind::Deployment,
    TargetKind::StatefulSet,
    TargetKind::DaemonSet,
    TargetKind::ReplicaSet,
    TargetKind::Rollout,
];

impl World {
    /// Takes in what a watch has seen. Whether anything is different now.
    pub fn apply(&mut self, update: Update) -> bool {
        match update {
            Update::Preview(change) => {
                let name = change.key().cloned();
                let is_new = self.previews.apply(change);
                if is_new {
                    self.begin_traffic(name.as_ref());
                }
                is_new
            }
            Update::Child(change) => self.children.apply(change),
            Update::PreviewPod(change) => self.preview_pods.apply(change),
            Update::Agent(change) => self.agents.apply(change),
            Update::Node(change) => self.nodes.apply(change),
            Update::Namespace(change) => self.namespaces.apply(change),
            Update::NodeRoutes(change) => {
                let node = change.key().cloned();
                let is_new = self.node_routes.apply(change);
                match node {
                    Some(node) if is_new && self.knows_traffic() => {
                        let status = self.node_routes.get(&node).map(|row| &row.status);
                        self.traffic.hear(&node, status, &self.previews);
                    }
                    _ if is_new => self.begin_traffic(None),
                    _ => {}
                }
                is_new
            }
            Update::Workload(kind, change) => self.workloads.entry(kind).or_default().apply(change),
            Update::PodTemplate(change) => self.pod_templates.apply(change),
            Update::Service(change) => self.services.apply(change),
            Update::Budget(change) => self.budgets.apply(change),
            Update::Policy(change) => self.policies.apply(change),
            Update::OwnPolicy(change) => self.own_policies.apply(change),
            Update::TargetPod(scope, change) => self.targets.entry(scope).or_default().apply(change),
        }
    }

    /// Begins to count for one Preview, or for all that are new.
    fn begin_traffic(&mut self, name: Option<&Ref>) {
        if !self.knows_traffic() {
            return;
        }
        match name {
            Some(name) => self.traffic.begin(self.previews.get(name).into_iter(), &self.node_routes),
            None => self.traffic.begin(self.previews.iter().map(|(_, it)| it), &self.node_routes),
        }
    }

    /// Whether it is known which Previews there are, and what agents say of them.
    fn knows_traffic(&self) -> bool {
        self.previews.is_synced() && self.node_routes.is_synced()
    }

    /// Whether each table has had its first list. Before, nothing may be planned: it would take routes away.
    pub fn is_synced(&self) -> bool {
        self.previews.is_synced()
            && self.children.is_synced()
            && self.preview_pods.is_synced()
            && self.agents.is_synced()
            && self.nodes.is_synced()
            && self.namespaces.is_synced()
            && self.node_routes.is_synced()
            && self.pod_templates.is_synced()
            && self.services.is_synced()
            && self.budgets.is_synced()
            && self.policies.is_synced()
            && self.own_policies.is_synced()
            && WATCHED.iter().all(|kind| self.workloads.get(kind).is_some_and(Table::is_synced))
    }

    /// Which pods a target is, if it is there.
    pub fn scope_of(&self, namespace: &Name, target: &PreviewTarget) -> Option<Scope> {
        let name: Name = target.name.as_str().into();
        let pods = if target.kind == TargetKind::Pod {
            Pods::Named(name)
        } else {
            return self.workload(namespace, target).and_then(|row| self.pods_selected(namespace, row));
        };
        Some(Scope { namespace: namespace.clone(), pods })
    }

    /// Remembers which pods targets are: a workload that is deleted goes at once, and its pods serve on for a while.
    pub fn remember_scopes(&mut self) {
        let mut before = std::mem::take(&mut self.scopes);
        for (name, preview) in self.previews.iter() {
            let Some(target) = &preview.spec.target else { continue };
            let uid = uid_of(preview);
            let has_pods = |it: &Scope| self.targets.get(it).is_some_and(|pods| !pods.is_empty());
            let scope = self.scope_of(&name.namespace, target);
            if let Some(scope) = scope.or_else(|| before.remove(&uid).filter(has_pods)) {
                self.scopes.insert(uid, scope);
            }
        }
    }

    /// Workloads whose pods are to be steered ahead of any preview, what these are like, and which they are.
    pub fn armed(&self) -> impl Iterator<Item = (TargetKind, &Ref, &TemplateRow, Scope)> {
        let all = self.workloads.iter().flat_map(|(kind, table)| table.iter().map(|it| (*kind, it)));
        all.filter_map(|(kind, (name, row))| {
            let namespace = self.namespaces.get(&name.namespace).filter(|it| it.open);
            let template = self.template(&name.namespace, row);
            let asked = namespace.is_some_and(|it| it.armed || row.template.armed || template.armed);
            let scope = if asked { self.pods_selected(&name.namespace, row) } else { None };
            Some((kind, name, template, scope?))
        })
    }

    fn pods_selected(&self, namespace: &Name, row: &WorkloadRow) -> Option<Scope> {
        let pods = Pods::Selected(selector_text(self.selector(namespace, row)?)?.into());
        Some(Scope { namespace: namespace.clone(), pods })
    }

    /// How a workload selects its pods: a Rollout as the workload does that it takes its template from, unless it says it
    /// itself.
    pub fn selector<'a>(&'a self, namespace: &Name, row: &'a WorkloadRow) -> Option<&'a LabelSelector> {
        let own = Some(&row.selector).filter(|selector| !selectors::is_empty(selector));
        own.or_else(|| {
            let other = &self.template_workload(namespace, row)?.selector;
            Some(other).filter(|selector| !selectors::is_empty(selector))
        })
    }

    /// What the pods of a workload are like, as far as is known.
    pub fn template<'a>(&'a self, namespace: &Name, row: &'a WorkloadRow) -> &'a TemplateRow {
        let elsewhere = match &row.template_of {
            None => None,
            Some(TemplateOf::Workload(..)) => self.template_workload(namespace, row).map(|it| &it.template),
            Some(TemplateOf::PodTemplate(name)) => {
                self.pod_templates.get(&Ref::new(namespace.clone(), name.clone())).map(|it| &it.template)
            }
        };
        elsewhere.unwrap_or(&row.template)
    }

    /// The workload that a Rollout takes its template from.
    pub fn template_workload(&self, namespace: &Name, row: &WorkloadRow) -> Option<&WorkloadRow> {
        let Some(TemplateOf::Workload(kind, name)) = &row.template_of else { return None };
        self.workloads.get(kind)?.get(&Ref::new(namespace.clone(), name.clone()))
    }

    /// The row of a target that is not a pod.
    pub fn workload(&self, namespace: &Name, target: &PreviewTarget) -> Option<&WorkloadRow> {
        let name = Ref::new(namespace.clone(), target.name.as_str());
        self.workloads.get(&target.kind)?.get(&name)
    }

    /// The pods of a scope, once they are known.
    pub fn pods_of(&self, scope: &Scope) -> Option<&Table<Name, PodRow>> {
        self.targets.get(scope).filter(|table| table.is_synced())
    }
}

/// A selector as the API server takes it. An empty one selects all pods of a namespace: no target is that.
fn selector_text(selector: &LabelSelector) -> Option<String> {
    let selector: kube_core::Selector = selector.clone().try_into().ok()?;
    let text = selector.to_string();
    (!text.is_empty()).then_some(text)
}
