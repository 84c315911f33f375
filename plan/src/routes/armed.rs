//! Targets without a preview: pods of workloads that are armed are steered ahead, so that no connection predates a route.

use std::collections::{BTreeMap, BTreeSet};

use super::node::Node;
use super::planned::Plan;
use super::services;
use crate::ports::{MOST, sent_by_number};
use crate::rows::{Name, TemplateRow};
use crate::world::World;

/// Adds them. Also pods that are not ready yet: clients may connect the moment they are.
pub(super) fn arm<'a>(world: &'a World, plan: &mut Plan, nodes: &mut BTreeMap<Name, Node<'a>>) {
    for (kind, name, template, scope) in world.armed() {
        let ports = ports(world, &name.namespace, template);
        if ports.is_empty() || ports.len() > MOST {
            plan.unarmed.insert((kind, name.clone()), ports.len());
            continue;
        }
        match world.pods_of(&scope) {
            Some(pods) => {
                let http2 = services::http2(world, &name.namespace, template);
                for (_, pod) in pods.iter().filter(|(_, pod)| !pod.ips.is_empty()) {
                    let Some(node) = &pod.node else { continue };
                    nodes.entry(node.clone()).or_default().arm(pod, &ports, &http2);
                }
            }
            None => plan.is_whole = false,
        }
        plan.scopes.insert(scope);
    }
}

/// The TCP ports that containers list, and those that Services send to.
fn ports(world: &World, namespace: &Name, template: &TemplateRow) -> BTreeSet<u16> {
    // One that a Service names is a container's, and so known already.
    let sent = services::ports(world, namespace, template).filter_map(sent_by_number);
    template.ports.iter().copied().chain(sent).collect()
}
