//! The fresh pod of a Preview without a target, and the Service by which others call it.

use std::collections::BTreeMap;

use byway_api::{Key, Mode, Preview};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, PodSecurityContext, PodSpec, Probe, SeccompProfile, SecurityContext, Service,
    ServicePort, ServiceSpec, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube_core::ResourceExt;

use super::{Children, Refusal, chosen, deployment, files, labels, ports};
use crate::selectors::Labels;

#[cfg(test)]
mod tests;

/// The name of its only container.
const CONTAINER: &str = "app";

/// How often it is looked whether the app listens, in seconds. The default of ten would be most of the time it takes.
const PROBE_PERIOD: i32 = 2;

/// What a Preview without a target owns. `key` is the key in force.
///
/// # Errors
///
/// When it names no ports, or too many.
pub fn targetless(preview: &Preview, key: &Key) -> Result<Children, Refusal> {
    let incoming = &preview.spec.incoming;
    if incoming.ports.is_empty() {
        return Err(Refusal::TargetlessWithoutPorts);
    }
    let served = ports::not_ignored(incoming.ports.iter().copied().collect(), incoming)?;
    let mut spec = PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![container(preview, &served)],
        security_context: Some(PodSecurityContext {
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    };
    chosen::introduce(&mut spec, preview, key);
    chosen::linger(&mut spec, preview);
    // Its ports are not taken out of a mesh's hands, unlike a clone's: others call it through its Service, and where
    // they are in the mesh, they call its sidecar.
    let files = files::mount(&mut spec, CONTAINER, preview, key);
    let set = preview.spec.labels.as_ref().map(|it| it.set.clone()).unwrap_or_default();
    let deployment =
        deployment::of_pods(preview, key, Labels::new(), set, BTreeMap::new(), spec, files.as_ref());
    let service = Some(service(preview, key, &served));
    let ports = if incoming.mode == Mode::Off { Vec::new() } else { served };
    // Its agents call it from within: no policy keeps them out.
    Ok(Children { deployment, service, network_policy: None, files, ports, warnings: Vec::new() })
}

fn container(preview: &Preview, served: &[u16]) -> Container {
    let named = |port: &u16| ContainerPort {
        container_port: i32::from(*port),
        name: Some(port_name(*port)),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mut container = Container {
        name: CONTAINER.to_owned(),
        ports: Some(served.iter().map(named).collect()),
        readiness_probe: served.first().map(|port| Probe {
            tcp_socket: Some(TCPSocketAction { port: IntOrString::Int(i32::from(*port)), host: None }),
            period_seconds: Some(PROBE_PERIOD),
            ..Probe::default()
        }),
        // What works for any image. All of Pod Security's "restricted" would also ask for a user other than root and no
        // capabilities, which many an image cannot do without; a namespace that demands it says so when the pod is made.
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            ..SecurityContext::default()
        }),
        ..Container::default()
    };
    chosen::change(&mut container, preview);
    container
}

fn service(preview: &Preview, key: &Key, served: &[u16]) -> Service {
    let port = |port: &u16| ServicePort {
        name: Some(port_name(*port)),
        port: i32::from(*port),
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(i32::from(*port))),
        ..ServicePort::default()
    };
    let mut service = Service {
        metadata: deployment::metadata(preview, key),
        spec: Some(ServiceSpec {
            ports: Some(served.iter().map(port).collect()),
            selector: labels::selector(&preview.name_any()).match_labels,
            ..ServiceSpec::default()
        }),
        status: None,
    };
    deployment::stamp(&mut service);
    service
}

/// Names must begin with a letter here.
fn port_name(port: u16) -> String {
    format!("p-{port}")
}
