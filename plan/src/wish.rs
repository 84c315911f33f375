//! What a clone should be, and a number that changes with all that bears on it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use byway_api::{Key, Preview, TargetKind, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::clone::Selecting;
use crate::outcome::CloneOutcome;
use crate::rows::{Name, PolicyRow, Ref, SelectorRow, ServiceRow, TemplateOf, WorkloadRow};
use crate::rules::Rules;
use crate::standing::Standing;
use crate::table::Table;
use crate::world::World;

#[cfg(test)]
mod tests;

/// What a clone should be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Of the Preview.
    pub name: Ref,
    /// The object.
    pub preview: Arc<Preview>,
    /// The key in force.
    pub key: Key,
    /// Whether there should be one.
    pub present: bool,
    /// Whether it is to have no pods for now.
    pub is_asleep: bool,
    /// The administrator's word.
    pub allow_keyless: bool,
    /// Where the agents run.
    pub agents_namespace: Name,
    /// `metadata.generation` of the NetworkPolicy that is there.
    pub network_policy: Option<i64>,
    /// Pods of the target have a proxy of Consul's.
    pub in_consul: bool,
    /// What of the namespace bears on it.
    pub around: Arc<Around>,
    /// `metadata.generation` of the Deployment after it was written or found as wanted last.
    settled: Option<i64>,
    /// Another one when anything above, or the target, is another. Never 0.
    pub version: u64,
}

/// What of a namespace bears on its clones.
#[derive(Debug, Default)]
pub struct Around {
    /// Services.
    pub services: Vec<ServiceRow>,
    /// All that select pods.
    pub selectors: Vec<SelectorRow>,
    /// NetworkPolicies.
    pub policies: Vec<PolicyRow>,
    /// All that must not select a preview's pods.
    pub selecting: Vec<Selecting>,
}

impl Wish {
    /// As of now.
    pub fn of(
        world: &World,
        standing: &Standing,
        around: &Arc<Around>,
        around_hash: u64,
        rules: &Rules,
    ) -> Self {
        let preview = &standing.preview;
        let child_name =
            Ref::new(standing.name.namespace.clone(), names::child_name(&standing.name.name, &standing.uid));
        let row = world.children.get(&child_name);
        let child = row.map(|row| (row.uid.clone(), row.generation));
        let network_policy = world.own_policies.get(&child_name).copied();
        let present = standing.is_live();
        let mut hasher = DefaultHasher::new();
        let settled = (rules.allow_keyless, &child, network_policy);
        (&standing.uid, preview.metadata.generation, present, standing.is_asleep, settled).hash(&mut hasher);
        let in_consul = present && is_in_consul(world, standing);
        if present {
            (target_version(world, standing), in_consul).hash(&mut hasher);
            around_hash.hash(&mut hasher);
        }
        Self {
            name: standing.name.clone(),
            preview: preview.clone(),
            key: standing.key.clone(),
            present,
            is_asleep: standing.is_asleep,
            allow_keyless: rules.allow_keyless,
            agents_namespace: rules.agents_namespace.clone(),
            network_policy,
            in_consul,
            around: around.clone(),
            settled: world.clones.get(&standing.uid).and_then(CloneOutcome::settled),
            version: hasher.finish().max(1),
        }
    }

    /// Whether an object that says that it is as wanted can be believed: nobody has changed it since. A controller that
    /// has just started believes it.
    pub fn trusts(&self, meta: &ObjectMeta) -> bool {
        self.settled.is_none() || self.settled == meta.generation
    }
}

/// Whether Consul injects its proxy into pods of the target, asked to or by default.
fn is_in_consul(world: &World, standing: &Standing) -> bool {
    let target = standing.preview.spec.target.as_ref();
    let scope = target.and_then(|target| world.scope_of(&standing.name.namespace, target));
    let pods = scope.and_then(|scope| world.pods_of(&scope));
    pods.is_some_and(|pods| pods.iter().any(|(_, pod)| pod.in_consul))
}

/// Changes with the target, and with the workload that it takes its template from.
fn target_version(world: &World, standing: &Standing) -> Option<(Version, Option<Version>)> {
    let target = standing.preview.spec.target.as_ref()?;
    let namespace = &standing.name.namespace;
    if target.kind != TargetKind::Pod {
        let version = |row: &WorkloadRow| (row.uid.clone(), row.generation);
        let row = world.workload(namespace, target)?;
        let template = match &row.template_of {
            Some(TemplateOf::PodTemplate(name)) => {
                let template = world.pod_templates.get(&Ref::new(namespace.clone(), name.clone()));
                template.map(|row| (row.uid.clone(), row.generation))
            }
            _ => world.template_workload(namespace, row).map(version),
        };
        return Some((version(row), template));
    }
    let pods = world.pods_of(&world.scope_of(namespace, target)?)?;
    pods.iter().next().map(|(uid, _)| ((uid.clone(), 0), None))
}

/// UID and `metadata.generation`.
type Version = (Name, i64);

impl Around {
    /// Of one namespace, with a hash of it.
    pub fn of(world: &World, namespace: &Name) -> (Arc<Self>, u64) {
        let mut around = Self::default();
        around.services.extend(in_namespace(&world.services, namespace).map(|(_, row)| row.clone()));
        for (name, selector) in in_namespace(&world.budgets, namespace) {
            around.selectors.push(row("PodDisruptionBudget", name, selector));
        }
        for (kind, table) in &world.workloads {
            for (name, workload) in in_namespace(table, namespace) {
                if let Some(selector) = world.selector(namespace, workload) {
                    around.selectors.push(row(kind.as_str(), name, selector));
                }
            }
        }
        for (name, spec) in in_namespace(&world.policies, namespace) {
            around.policies.push(PolicyRow { name: name.name.to_string(), spec: (**spec).clone() });
        }
        let mut hasher = DefaultHasher::new();
        // Values of the API, printed in full: nothing of them is left out.
        format!("{around:?}").hash(&mut hasher);
        around.selecting = Selecting::all(&around.services, &around.selectors);
        (Arc::new(around), hasher.finish())
    }
}

fn row(
    kind: &str,
    name: &Ref,
    selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
) -> SelectorRow {
    SelectorRow { kind: kind.to_owned(), name: name.name.to_string(), selector: selector.clone() }
}

fn in_namespace<'a, V>(table: &'a Table<Ref, V>, namespace: &Name) -> impl Iterator<Item = (&'a Ref, &'a V)> {
    let first = Ref::new(namespace.clone(), "");
    let namespace = namespace.clone();
    table.from(first).take_while(move |(key, _)| key.namespace == namespace)
}
