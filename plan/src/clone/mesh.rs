//! How a clone's ports stay out of the way of service meshes.
//!
//! A keyed request reaches the clone from the agent in its own pod, as plain TCP. A sidecar that captured it would
//! ask for mutual TLS. So the steered ports are excluded from the capture of inbound connections; what the clone calls
//! still goes through the mesh. The annotations are written always: whether a namespace injects sidecars is not to be
//! seen here, and without a mesh nobody reads them.

use std::collections::BTreeMap;

use super::registries::{Fate, of_fate};
use super::{Warning, warn};

#[cfg(test)]
mod tests;

const CONSUL: &str = "consul.hashicorp.com/";
const CONSUL_INJECT: &str = "consul.hashicorp.com/connect-inject";

/// Excludes `ports` from the capture of inbound connections.
pub(super) fn exclude(annotations: &mut BTreeMap<String, String>, ports: &[u16]) {
    if ports.is_empty() {
        return;
    }
    for name in of_fate(Fate::PortsAdded) {
        let value = annotations.entry(name.to_owned()).or_default();
        *value = with_ports(value, ports);
    }
    for name in of_fate(Fate::PortsTaken) {
        if let Some(listed) = annotations.get_mut(name)
            && listed.trim() != "*"
        {
            let kept =
                items(listed).filter(|item| item.parse().is_ok_and(|port: u16| !ports.contains(&port)));
            *listed = kept.collect::<Vec<_>>().join(",");
        }
    }
}

/// What bears on whether Consul may inject its proxy into a clone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Consul {
    /// A Service selects the clone, on purpose.
    pub(super) has_service: bool,
    /// The target's pods have the proxy.
    pub(super) has_proxy: bool,
}

/// Keeps Consul's proxy out where it would wait for ever: its init container ends once Consul has registered the pod, and
/// Consul registers those that a Service selects. Where somebody made a Service for the preview, its name is the preview's.
pub(super) fn consul(annotations: &mut BTreeMap<String, String>, consul: Consul) -> Option<Warning> {
    if consul.has_service {
        return None;
    }
    let inject = annotations
        .get(CONSUL_INJECT)
        .map(|value| matches!(value.trim(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
    let is_configured = annotations.keys().any(|name| name.starts_with(CONSUL));
    annotations.insert(CONSUL_INJECT.to_owned(), "false".to_owned());
    let was_in = inject.unwrap_or(consul.has_proxy || is_configured);
    was_in.then(warn::outside_consul)
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
