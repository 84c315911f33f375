//! Targets without a preview: pods of workloads that are armed are steered ahead, so that no connection predates a route.

use std::collections::{BTreeMap, BTreeSet};

use super::node::Node;
use super::planned::Plan;
use crate::ports::{MOST, is, is_apps, sent_by_number};
use crate::rows::{Name, Ref, ServiceRow, TemplateRow};
use crate::world::World;

/// Adds them. Also pods that are not ready yet: clients may connect the moment they are.
pub(super) fn arm<'a>(world: &'a World, plan: &mut Plan, nodes: &mut BTreeMap<Name, Node<'a>>) {
    for (kind, name, template, scope) in world.armed() {
        let ports = ports(template, services(world, name));
        if ports.is_empty() || ports.len() > MOST {
            plan.unarmed.insert((kind, name.clone()), ports.len());
            continue;
        }
        match world.pods_of(&scope) {
            Some(pods) => {
                for (_, pod) in pods.iter().filter(|(_, pod)| !pod.ips.is_empty()) {
                    let Some(node) = &pod.node else { continue };
                    nodes.entry(node.clone()).or_default().arm(pod, &ports);
                }
            }
            None => plan.is_whole = false,
        }
        plan.scopes.insert(scope);
    }
}

/// The Services of the workload's namespace.
fn services<'a>(world: &'a World, of: &'a Ref) -> impl Iterator<Item = &'a ServiceRow> {
    let first = Ref::new(of.namespace.clone(), "");
    let services = world.services.from(first).take_while(|(name, _)| name.namespace == of.namespace);
    services.map(|(_, service)| service)
}

/// The TCP ports that containers name, and those that Services send to.
fn ports<'a>(template: &TemplateRow, services: impl Iterator<Item = &'a ServiceRow>) -> BTreeSet<u16> {
    let mut ports: BTreeSet<u16> = template.ports.iter().copied().collect();
    let selects = |service: &&ServiceRow| {
        let mut wanted = service.selector.iter();
        !service.selector.is_empty() && wanted.all(|(key, value)| template.labels.get(key) == Some(value))
    };
    // One that a Service names is a container's, and so known already.
    let sent = services
        .filter(selects)
        .flat_map(|service| &service.ports)
        .filter(|port| is(port, "TCP") && is_apps(port));
    ports.extend(sent.filter_map(sent_by_number));
    ports
}
