//! What the target is sent, by what agents counted and by what ports are called.

use std::collections::{BTreeMap, BTreeSet};

use byway_api::{TargetTraffic, ways};
use byway_plan::ports;
use k8s_openapi::api::core::v1::ServicePort;

use crate::doctor::facts::{Facts, TargetFacts, sends};
use crate::doctor::finding::Findings;
use crate::words::few;
use kube::ResourceExt as _;

pub(super) fn traffic(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    let mut ways = Vec::new();
    if let Some(routes) = findings.see(&facts.routes) {
        let own: BTreeSet<String> =
            target.own_pods().iter().map(|pod| format!("{}/{}", facts.namespace, pod.name_any())).collect();
        let statuses = routes.iter().filter_map(|routes| routes.status.as_ref());
        let of_target = statuses.flat_map(|status| &status.targets).filter(|it| own.contains(&it.target));
        let of_target: Vec<&TargetTraffic> = of_target.collect();
        ways = ways::ways(of_target.iter().copied());
        let (mut tls, mut http2, mut silent) = (0, 0, BTreeSet::new());
        for traffic in of_target {
            tls += traffic.tls;
            http2 += traffic.http2;
            silent.extend(traffic.not_listening.iter().map(u16::to_string));
        }
        for (count, what) in [(tls, "TLS"), (http2, "HTTP/2 that the app does not speak")] {
            if count > 0 {
                findings.warning(format!(
                    "agents counted {count} connections with {what}, in which they could match nothing"
                ));
            }
        }
        if !silent.is_empty() {
            let silent: Vec<String> = silent.into_iter().collect();
            findings.warning(format!("nothing listens on port {} of some of its pods", few(&silent)));
        }
    }
    for (port, why) in tls_by_name(target) {
        findings.warning(format!("port {port} is for TLS, by {why}: it passes through to the app"));
    }
    if findings.all.is_empty() {
        findings.ok(
            "no sign was found of TLS, of HTTP/2 that it does not speak, or of a port where nothing listens",
        );
    }
    ways.into_iter().for_each(|way| findings.ok(way));
}

/// Steered ports whose names promise TLS.
fn tls_by_name(target: &TargetFacts) -> BTreeMap<u16, String> {
    let mut found = BTreeMap::new();
    let (Some(Ok(source)), Some(Ok(children))) = (target.source(), target.clone_of()) else { return found };
    let named: Vec<_> = source.spec.containers.iter().flat_map(|it| it.ports.iter().flatten()).collect();
    for port in &named {
        let name = port.name.as_deref().filter(|name| is_tls(name));
        if let (Some(name), Ok(number)) = (name, u16::try_from(port.container_port)) {
            found.insert(number, format!("its name {name}"));
        }
    }
    let labels = source.meta.labels.clone().unwrap_or_default();
    for service in target.services.seen().into_iter().flatten() {
        let Some(spec) = &service.spec else { continue };
        if !sends(spec, &labels) {
            continue;
        }
        for port in spec.ports.iter().flatten() {
            let word = port.app_protocol.as_deref().or(port.name.as_deref());
            let number = ports::sent_to(port, |name| {
                let named = named.iter().find(|it| it.name.as_deref() == Some(name))?;
                u16::try_from(named.container_port).ok()
            });
            if let (true, Some(number)) = (word.is_some_and(is_tls), number) {
                found.entry(number).or_insert_with(|| said_by(&service.name_any(), port));
            }
        }
    }
    found.retain(|port, _| children.ports.contains(port));
    found
}

fn said_by(service: &str, port: &ServicePort) -> String {
    let (what, word) = match &port.app_protocol {
        Some(protocol) => ("appProtocol", protocol.as_str()),
        None => ("port name", port.name.as_deref().unwrap_or_default()),
    };
    format!("the {what} {word} of the Service {service}")
}

/// By the first part of a port's name, as Istio reads it, or an `appProtocol`.
fn is_tls(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    matches!(word.split_once('-').map_or(word.as_str(), |(first, _)| first), "https" | "tls" | "ssl")
}
