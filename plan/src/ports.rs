//! Ports that containers name, and those that Services send to.

use k8s_openapi::api::core::v1::{ContainerPort, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Most ports of one Preview, as in its schema.
pub const MOST: usize = 32;

/// The TCP ports of those that containers name.
pub fn tcp<'a>(ports: impl Iterator<Item = &'a ContainerPort>) -> impl Iterator<Item = u16> {
    ports.filter(|port| protocol(port) == "TCP").filter_map(|port| number(port.container_port))
}

/// Those of them that have a name, with it.
pub fn named<'a>(ports: impl Iterator<Item = &'a ContainerPort>) -> impl Iterator<Item = (&'a str, u16)> {
    let ports = ports.filter(|port| protocol(port) == "TCP");
    ports.filter_map(|port| Some((port.name.as_deref()?, number(port.container_port)?)))
}

/// Whether a port's name, or what stands in its `appProtocol`, says that HTTP/2 without TLS is spoken there. Behind a
/// hyphen a name goes on as it likes.
pub(crate) fn says_http2(name: &str) -> bool {
    let is =
        |protocol: &str| name.strip_prefix(protocol).is_some_and(|it| it.is_empty() || it.starts_with('-'));
    let is_web = is("grpc-web"); // goes over HTTP/1.1 as well
    name == "kubernetes.io/h2c" || !is_web && ["grpc", "http2", "h2c"].into_iter().any(is)
}

/// How Dapr's operator names the ports of the Service that it makes for a workload: they are its sidecar's, which the app
/// itself calls, with the key of the request that it serves.
const OF_DAPR: [&str; 4] = ["dapr-grpc", "dapr-http", "dapr-internal", "dapr-metrics"];

/// Whether a Service's port is sent to an app, and not to a sidecar of it.
pub(crate) fn is_apps(port: &ServicePort) -> bool {
    !port.name.as_deref().is_some_and(|name| OF_DAPR.contains(&name))
}

/// Whether a Service's port is of this protocol.
pub(crate) fn is(port: &ServicePort, wanted: &str) -> bool {
    port.protocol.as_deref().unwrap_or("TCP") == wanted
}

/// The port of the pod that a Service sends to; `named` finds one by its name.
pub fn sent_to(port: &ServicePort, named: impl FnOnce(&str) -> Option<u16>) -> Option<u16> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => number(port.port),
        Some(IntOrString::Int(target)) => number(*target),
        Some(IntOrString::String(name)) => named(name),
    }
}

/// The same, where the Service says it by its number.
pub(crate) fn sent_by_number(port: &ServicePort) -> Option<u16> {
    sent_to(port, |_| None)
}

/// What a container's port speaks.
pub(crate) fn protocol(port: &ContainerPort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

/// A port that there can be.
pub(crate) fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}
