//! From all that is known to what each node should steer: a pure function, computed anew on every change.
//!
//! A route that is no longer planned is no longer published, so nothing has to be cleaned up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use byway_api::conditions::reason;
use byway_api::{Backend, Environment, Mode, NodeRoutesSpec, PreviewRoute, Unkeyed, names};

use crate::outcome::CloneOutcome;
use crate::rows::{Name, PreviewPodRow, Ref};
use crate::rules::Rules;
use crate::scope::Scope;
use crate::standing::Standing;
use crate::world::World;

mod agents;
mod armed;
mod backends;
mod node;
mod planned;
mod services;
#[cfg(test)]
mod tests;

pub use agents::{agents_by_node, speaks};
pub use planned::{Plan, Planned, Wanted};

use node::{Node, Steered};

/// Plans for `standings`, in their order.
pub fn plan(world: &World, standings: &[Standing], rules: &Rules) -> Plan {
    let mut plan = Plan { is_whole: true, ..Plan::default() };
    let pods = by_preview(world, standings);
    let mut nodes: BTreeMap<Name, Node> = BTreeMap::new();
    for standing in standings.iter().filter(|it| it.is_live() && it.preview.spec.incoming.mode != Mode::Off) {
        let own = pods.get(&standing.uid).map_or(&[][..], Vec::as_slice);
        let Some((scope, targets)) = targets(world, standing, own, &mut plan) else { continue };
        if let Some(scope) = scope {
            plan.scopes.insert(scope);
        }
        let ports = ports(world, standing);
        if ports.is_empty() {
            continue;
        }
        let backends = backends::choose(world, standing, own);
        let route = route(standing, &ports, &backends, rules);
        let backends = backends.iter().map(|it| it.pod.uid.clone()).collect();
        let mut planned = Planned { backends, ..Planned::default() };
        let route = Arc::new(route);
        let http2 = http2(world, standing);
        let mut by_node: BTreeMap<&Name, Vec<Steered>> = BTreeMap::new();
        for steered in targets.into_iter().filter(|it| !it.pod.ips.is_empty()) {
            let Some(node) = &steered.pod.node else { continue };
            if steered.is_ready && !steered.pod.terminating {
                let target = steered.pod.name.to_string();
                planned.wanted.push(Wanted { node: node.clone(), target });
            }
            by_node.entry(node).or_default().push(steered);
        }
        for (node, targets) in by_node {
            let revision = node::revision(&route, &targets);
            planned.revisions.insert(node.clone(), revision.clone());
            nodes.entry(node.clone()).or_default().add(&route, revision, targets, &http2);
        }
        plan.routes.insert(standing.uid.clone(), planned);
    }
    armed::arm(world, &mut plan, &mut nodes);
    let environments = environments(standings, &pods);
    let agents = agents_by_node(world);
    for (name, node) in nodes {
        let agent = agents.get(&name).map(|it| it.uid.to_string());
        let (table, overflow) = node.table(&environments);
        for preview in overflow {
            let uid = standings.iter().find(|it| it.name.to_string() == preview).map(|it| &it.uid);
            if let Some(planned) = uid.and_then(|uid| plan.routes.get_mut(uid)) {
                planned.overflow.push(name.clone());
            }
        }
        plan.nodes.insert(name, Arc::new(NodeRoutesSpec { agent_pod_uid: agent, table }));
    }
    plan
}

/// The pods to steer for a Preview, with where they come from; nothing while that is not known.
fn targets<'a>(
    world: &'a World,
    standing: &Standing,
    own: &[&'a PreviewPodRow],
    plan: &mut Plan,
) -> Option<(Option<Scope>, Vec<Steered<'a>>)> {
    let Some(target) = &standing.preview.spec.target else {
        // It is its own target. Its pods are not Ready before they are routed.
        let own = own.iter().map(|it| Steered {
            pod: &it.pod,
            is_ready: it.containers_ready,
            unkeyed: Unkeyed::NotFound,
        });
        return Some((None, own.collect()));
    };
    let known = world.scope_of(&standing.name.namespace, target);
    let scope = known.or_else(|| world.scopes.get(&standing.uid).cloned())?;
    let Some(pods) = world.pods_of(&scope) else {
        plan.is_whole = false;
        plan.scopes.insert(scope);
        return None;
    };
    let pods = pods.iter().map(|(_, pod)| Steered { pod, is_ready: pod.ready, unkeyed: Unkeyed::App });
    Some((Some(scope), pods.collect()))
}

/// The ports to steer: what the clone found, or did when another controller made it, or while there was a target.
pub fn ports(world: &World, standing: &Standing) -> Vec<u16> {
    let serves_on = |it: &CloneOutcome| {
        it.refusal().is_some_and(|(code, _)| code == reason::TARGET_NOT_FOUND)
            && world.scopes.contains_key(&standing.uid)
    };
    match world.clones.get(&standing.uid).filter(|it| !serves_on(it)) {
        Some(outcome) => outcome.ports().to_vec(),
        None => standing.preview.status.as_ref().map(|status| status.ports.clone()).unwrap_or_default(),
    }
}

/// Of its target's ports, those that are said to speak HTTP/2.
fn http2(world: &World, standing: &Standing) -> BTreeSet<u16> {
    let namespace = &standing.name.namespace;
    let target = standing.preview.spec.target.as_ref();
    let row = target.and_then(|target| world.workload(namespace, target));
    row.map(|row| services::http2(world, namespace, world.template(namespace, row))).unwrap_or_default()
}

fn route(standing: &Standing, ports: &[u16], backends: &[&PreviewPodRow], rules: &Rules) -> PreviewRoute {
    let incoming = &standing.preview.spec.incoming;
    let mut route = PreviewRoute::new(standing.name.to_string(), "", standing.key.as_str());
    route.match_ = incoming.match_.clone();
    route.ports = ports.to_vec();
    route.on_unreachable = incoming.on_unreachable;
    route.existing_connections = incoming.existing_connections;
    route.expires_at = standing.expires_at;
    route.response_header = incoming.response_header;
    let mapped = incoming.port_mapping.iter().filter(|it| it.port != it.preview_port);
    route.preview_ports = mapped.map(|it| (it.port, it.preview_port)).collect();
    let shown = incoming.mode == Mode::Mirror;
    route.copies_percent = shown.then(|| incoming.sample.unwrap_or(100));
    let idle = standing.preview.spec.idle.as_ref().filter(|_| standing.preview.spec.replicas > 0);
    route.wake_timeout_seconds = idle.and_then(|idle| u32::try_from(idle.wakes_within().as_secs()).ok());
    route.allow_keyless = rules.allow_keyless;
    route.backends = backends.iter().map(|it| Backend { name: None, ips: it.pod.ips.clone() }).collect();
    // Values that cannot fail to serialise; without a revision nobody could acknowledge it.
    let text = serde_json::to_vec(&route).unwrap_or_default();
    route.revision = names::hash(&[text], 12);
    route
}

/// Whose pods have which addresses: also of pods that are not ready, which may call before they serve.
fn environments<'a>(
    standings: &'a [Standing],
    pods: &HashMap<Name, Vec<&PreviewPodRow>>,
) -> BTreeMap<&'a str, Environment> {
    let mut environments = BTreeMap::new();
    for standing in standings.iter().filter(|it| it.is_live()) {
        let own = pods.get(&standing.uid).into_iter().flatten();
        let ips: Vec<_> = own.flat_map(|it| it.pod.ips.iter().copied()).collect();
        if !ips.is_empty() {
            let key = standing.key.clone();
            let empty = || Environment { key, ips: Vec::new() };
            environments.entry(standing.key.as_str()).or_insert_with(empty).ips.extend(ips);
        }
    }
    for environment in environments.values_mut() {
        environment.ips.sort_unstable();
        environment.ips.dedup();
    }
    environments
}

/// The pods of each Preview, by its UID, in a fixed order: those that its own Deployment made. A label alone proves
/// nothing, and pods of an older Preview of the same name may still be on their way out.
pub fn by_preview<'a>(world: &'a World, standings: &[Standing]) -> HashMap<Name, Vec<&'a PreviewPodRow>> {
    let of_name: HashMap<&Ref, &Standing> = standings.iter().map(|it| (&it.name, it)).collect();
    let mut pods: HashMap<Name, Vec<&PreviewPodRow>> = HashMap::new();
    for (_, row) in world.preview_pods.iter() {
        if let Some(standing) = of_name.get(&row.preview)
            && is_of(row, standing)
        {
            pods.entry(standing.uid.clone()).or_default().push(row);
        }
    }
    pods
}

fn is_of(row: &PreviewPodRow, standing: &Standing) -> bool {
    let deployment = names::child_name(&standing.name.name, &standing.uid);
    row.owner.strip_prefix(deployment.as_str()).is_some_and(|rest| rest.starts_with('-'))
}
