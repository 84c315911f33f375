//! What Services say of the ports of a workload's pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ServicePort;

use crate::ports::{is, is_apps, says_http2, sent_to};
use crate::rows::{Name, Ref, TemplateRow};
use crate::world::World;

/// The TCP ports of Services that select the workload's pods.
pub(super) fn ports<'a>(
    world: &'a World,
    namespace: &'a Name,
    template: &'a TemplateRow,
) -> impl Iterator<Item = &'a ServicePort> {
    let first = Ref::new(namespace.clone(), "");
    let services = world.services.from(first).take_while(move |(name, _)| name.namespace == *namespace);
    let services = services.map(|(_, service)| service).filter(|service| {
        let mut wanted = service.selector.iter();
        !service.selector.is_empty() && wanted.all(|(key, value)| template.labels.get(key) == Some(value))
    });
    services.flat_map(|service| &service.ports).filter(|port| is(port, "TCP") && is_apps(port))
}

/// The ports of the workload's pods that are said to speak HTTP/2: by their name in the container or in a Service, or by
/// a Service's `appProtocol`, which goes before its name.
pub(super) fn http2(world: &World, namespace: &Name, template: &TemplateRow) -> BTreeSet<u16> {
    let own = template.named.iter().filter(|(name, _)| says_http2(name)).map(|(_, port)| *port);
    let sent = ports(world, namespace, template)
        .filter(|port| port.app_protocol.as_deref().or(port.name.as_deref()).is_some_and(says_http2));
    let named = |name: &str| template.named.iter().find(|(known, _)| **known == *name).map(|(_, port)| *port);
    let sent = sent.filter_map(|port| sent_to(port, named));
    own.chain(sent).collect()
}
