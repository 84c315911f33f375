//! Which ports are steered to a clone.

use std::collections::BTreeSet;

use byway_api::{Incoming, Mode, Preview};
use k8s_openapi::api::core::v1::{Container, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pod::is_native_sidecar;
use super::{Refusal, Source, Surroundings, Warning, duplicates, sidecars, source::target_text, warn};
use crate::ports::{self, MOST, is, is_apps, number, protocol, tcp};
use crate::selectors::{exactly, may_match};

#[cfg(test)]
mod tests;

/// The ports that the Preview names, else the TCP ports of the chosen container and those that Services send to; but those
/// that it ignores.
pub(super) fn steered(
    preview: &Preview,
    source: &Source,
    chosen: &str,
    around: &Surroundings<'_>,
) -> Result<Vec<u16>, Refusal> {
    let incoming = &preview.spec.incoming;
    if incoming.mode == Mode::Off {
        return Ok(Vec::new());
    }
    let mut ports: BTreeSet<u16> = incoming.ports.iter().copied().collect();
    if ports.is_empty() {
        let container = source.spec.containers.iter().filter(|c| c.name == chosen);
        ports.extend(container.flat_map(of_container));
        ports.extend(of_services(source, around));
        let all: Vec<&str> = names(source).collect();
        let proxys = sidecars::proxy_ports(&all);
        ports.retain(|port| !proxys.iter().any(|range| range.contains(port)));
    }
    if ports.is_empty() {
        return Err(Refusal::NoPorts {
            target: target_text(source.kind, &source.name),
            container: chosen.to_owned(),
        });
    }
    not_ignored(ports, incoming)
}

/// Those of `ports` that the Preview does not ignore.
pub(super) fn not_ignored(mut ports: BTreeSet<u16>, incoming: &Incoming) -> Result<Vec<u16>, Refusal> {
    ports.retain(|port| !incoming.ignore_ports.contains(port));
    if ports.is_empty() {
        return Err(Refusal::AllPortsIgnored);
    }
    if ports.len() > MOST {
        return Err(Refusal::TooManyPorts { count: ports.len(), most: MOST });
    }
    Ok(ports.into_iter().collect())
}

/// The TCP ports that a container names.
pub(super) fn of_container(container: &Container) -> impl Iterator<Item = u16> {
    tcp(container.ports.iter().flatten())
}

/// The TCP ports of the target's pods that Services send to.
pub(super) fn of_services(source: &Source, around: &Surroundings<'_>) -> Vec<u16> {
    let ports = service_ports(source, around).filter(|port| is(port, "TCP"));
    ports.filter_map(|port| sent_to(source, port)).collect()
}

/// Names what of the target's is not TCP, unless the Preview names ports itself.
pub(super) fn not_steered(
    preview: &Preview,
    source: &Source,
    chosen: &str,
    around: &Surroundings<'_>,
) -> Option<Warning> {
    let incoming = &preview.spec.incoming;
    if incoming.mode == Mode::Off || !incoming.ports.is_empty() {
        return None;
    }
    let container = source.spec.containers.iter().filter(|c| c.name == chosen);
    let own = container.flat_map(|c| c.ports.iter().flatten()).filter(|port| protocol(port) != "TCP");
    let own = own.map(|port| format!("{}/{}", port.container_port, protocol(port)));
    let sent = service_ports(source, around).filter(|port| !is(port, "TCP"));
    let sent =
        sent.filter_map(|port| Some(format!("{}/{}", sent_to(source, port)?, port.protocol.as_ref()?)));
    let all: BTreeSet<String> = own.chain(sent).collect();
    (!all.is_empty()).then(|| warn::not_steered(all))
}

/// Where a preview listens for requests to `steered` ports.
pub(super) fn served(incoming: &Incoming, steered: &[u16]) -> Vec<u16> {
    let served: BTreeSet<u16> = steered.iter().map(|port| incoming.preview_port(*port)).collect();
    served.into_iter().collect()
}

/// Names what is said of ports that are not steered.
pub(super) fn unused_mapping(incoming: &Incoming, steered: &[u16]) -> Option<Warning> {
    let mapped = incoming.port_mapping.iter().map(|it| it.port);
    let unused: Vec<u16> = mapped.filter(|port| !steered.contains(port)).collect();
    (!unused.is_empty() && incoming.mode != Mode::Off).then(|| warn::mapping_unused(&unused))
}

/// Has the container's ports, probes and hooks be where the preview listens.
pub(super) fn listen(container: &mut Container, incoming: &Incoming) {
    if incoming.port_mapping.is_empty() {
        return;
    }
    let moved = |port: i32| number(port).map_or(port, |port| i32::from(incoming.preview_port(port)));
    for port in container.ports.iter_mut().flatten().filter(|port| protocol(port) == "TCP") {
        port.container_port = moved(port.container_port);
    }
    for reference in duplicates::port_references(container) {
        if let IntOrString::Int(port) = reference {
            *port = moved(*port);
        }
    }
    let probes =
        [&mut container.startup_probe, &mut container.readiness_probe, &mut container.liveness_probe];
    for grpc in probes.into_iter().flatten().filter_map(|probe| probe.grpc.as_mut()) {
        grpc.port = moved(grpc.port);
    }
    duplicates::merge_ports(container); // the target may name that port, too
}

fn service_ports<'a>(source: &'a Source, around: &Surroundings<'a>) -> impl Iterator<Item = &'a ServicePort> {
    let labels = source.meta.labels.clone().unwrap_or_default();
    let services = around.services.iter().filter(move |service| {
        !service.selector.is_empty() && may_match(&exactly(&service.selector), &labels)
    });
    services.flat_map(|service| &service.ports).filter(|port| is_apps(port))
}

/// The port of the pod; of a name that no container has, none, as in Kubernetes.
fn sent_to(source: &Source, port: &ServicePort) -> Option<u16> {
    ports::sent_to(port, |name| {
        // Native sidecars come last, and other init containers do not serve.
        let native = source.spec.init_containers.iter().flatten().filter(|c| is_native_sidecar(c));
        let ports = source.spec.containers.iter().chain(native).flat_map(|c| c.ports.iter().flatten());
        let mut named =
            ports.filter(|other| other.name.as_deref() == Some(name) && is(port, protocol(other)));
        named.next().and_then(|port| number(port.container_port))
    })
}

fn names(source: &Source) -> impl Iterator<Item = &str> {
    let containers = source.spec.containers.iter().map(|container| &container.name);
    containers.chain(&source.injected).map(String::as_str)
}
