//! Containers that are known by their names to be no app.

use std::ops::RangeInclusive;

#[cfg(test)]
mod tests;

/// Consul's proxy, beside the app's containers.
pub(super) const CONSUL_PROXY: &str = "consul-dataplane";

/// Containers that stand before or beside an app, and that nobody means who does not name them.
const SIDECARS: &[&str] = &[
    "cloud-sql-proxy",
    "cloudsql-proxy",
    CONSUL_PROXY,
    "daprd",
    "envoy-sidecar",
    "istio-proxy",
    "kuma-sidecar",
    "linkerd-proxy",
    "oauth2-proxy",
    "queue-proxy",
    "vault-agent",
];

/// Ports of proxies that have nothing to do with the app.
const PROXIES: [(&str, RangeInclusive<u16>); 5] = [
    (CONSUL_PROXY, 20000..=20000),
    (CONSUL_PROXY, 20200..=20200),
    ("istio-proxy", 15000..=15090),
    ("kuma-sidecar", 15000..=15090),
    ("linkerd-proxy", 4140..=4191),
];

pub(super) fn is_sidecar(container: &str) -> bool {
    SIDECARS.contains(&container)
}

/// The ports of proxies that are among these containers.
pub(super) fn proxy_ports(containers: &[&str]) -> Vec<RangeInclusive<u16>> {
    let there = PROXIES.into_iter().filter(|(name, _)| containers.contains(name));
    there.map(|(_, ports)| ports).collect()
}
