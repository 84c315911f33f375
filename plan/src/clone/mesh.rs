//! What is known of service meshes: their sidecars, and how a clone's ports stay out of their way.
//!
//! A keyed request reaches the clone from the agent in its own pod, as plain TCP. A sidecar that captured it would
//! ask for mutual TLS. So the steered ports are excluded from the capture of inbound connections; what the clone calls
//! still goes through the mesh. The annotations are written always: whether a namespace injects sidecars is not to be
//! seen here, and without a mesh nobody reads them.

use std::{collections::BTreeMap, ops::RangeInclusive};

#[cfg(test)]
mod tests;

const ISTIO_EXCLUDE: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
const ISTIO_INCLUDE: &str = "traffic.sidecar.istio.io/includeInboundPorts";
const LINKERD_SKIP: &str = "config.linkerd.io/skip-inbound-ports";

/// Containers that stand before or beside an app, and that nobody means who does not name them.
const SIDECARS: &[&str] = &[
    "cloud-sql-proxy",
    "cloudsql-proxy",
    "daprd",
    "istio-proxy",
    "linkerd-proxy",
    "oauth2-proxy",
    "queue-proxy",
    "vault-agent",
];

pub(super) fn is_sidecar(container: &str) -> bool {
    SIDECARS.contains(&container)
}

/// The ports of a mesh's proxy that have nothing to do with the app, if the pod has such a container.
pub(super) fn proxy_ports(containers: &[&str]) -> Vec<RangeInclusive<u16>> {
    let known = [("istio-proxy", 15000..=15090), ("linkerd-proxy", 4140..=4191)];
    known.into_iter().filter(|(name, _)| containers.contains(name)).map(|(_, ports)| ports).collect()
}

/// Excludes `ports` from the capture of inbound connections.
pub(super) fn exclude(annotations: &mut BTreeMap<String, String>, ports: &[u16]) {
    if ports.is_empty() {
        return;
    }
    for name in [ISTIO_EXCLUDE, LINKERD_SKIP] {
        let value = annotations.entry(name.to_owned()).or_default();
        *value = with_ports(value, ports);
    }
    // Where the captured ports are listed, Istio does not look at the excluded ones.
    if let Some(listed) = annotations.get_mut(ISTIO_INCLUDE)
        && listed.trim() != "*"
    {
        let kept = items(listed).filter(|item| item.parse().is_ok_and(|port: u16| !ports.contains(&port)));
        *listed = kept.collect::<Vec<_>>().join(",");
    }
}

fn with_ports(list: &str, ports: &[u16]) -> String {
    let mut all: Vec<String> = items(list).map(str::to_owned).collect();
    if all.iter().any(|item| item == "*") {
        return list.to_owned();
    }
    for port in ports {
        if !all.iter().any(|item| covers(item, *port)) {
            all.push(port.to_string());
        }
    }
    all.join(",")
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Linkerd also knows ranges, `4000-5000`.
fn covers(item: &str, port: u16) -> bool {
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&port),
        _ => false,
    }
}
