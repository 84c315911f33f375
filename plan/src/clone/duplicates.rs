//! Lists with two entries of one key. A plain create accepts them, server-side apply does not.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, HostAlias, LifecycleHandler, PodSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::ports::protocol;

#[cfg(test)]
mod tests;

/// Merges them as the kubelet reads them.
pub(super) fn merge(spec: &mut PodSpec) {
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if let Some(env) = container.env.take() {
            container.env = Some(merged_env(env));
        }
        merge_ports(container);
    }
    if let Some(secrets) = &mut spec.image_pull_secrets {
        let mut seen = HashSet::new();
        secrets.retain(|secret| seen.insert(secret.name.clone()));
    }
    if let Some(aliases) = spec.host_aliases.take() {
        let mut merged: Vec<HostAlias> = Vec::new();
        for alias in aliases {
            match merged.iter_mut().find(|other| other.ip == alias.ip) {
                Some(other) => {
                    other.hostnames.get_or_insert_default().extend(alias.hostnames.unwrap_or_default());
                }
                None => merged.push(alias),
            }
        }
        spec.host_aliases = Some(merged);
    }
}

/// The last one of a name wins, and stands where it stood. An earlier one that is referred to in between, as in
/// `PATH=$(PATH):/more`, goes on under another name: its text could mean something else further down.
fn merged_env(mut env: Vec<EnvVar>) -> Vec<EnvVar> {
    let mut at = 0;
    while at < env.len() {
        let name = env[at].name.clone();
        let Some(next) = env[at + 1..].iter().position(|var| var.name == name).map(|n| at + 1 + n) else {
            at += 1;
            continue;
        };
        let other =
            (1..).map(|n| format!("BYWAY_{name}_{n}")).find(|other| env.iter().all(|v| v.name != *other));
        let other = other.unwrap_or_else(|| unreachable!("there are more numbers than variables"));
        let mut referred_to = false;
        for value in env[at + 1..=next].iter_mut().filter_map(|var| var.value.as_mut()) {
            let renamed = with_reference_renamed(value, &name, &other);
            referred_to |= renamed != *value;
            *value = renamed;
        }
        if referred_to {
            env[at].name = other;
            at += 1;
        } else {
            env.remove(at);
        }
    }
    env
}

/// `text` with `$(name)` as `$(other)`, read as Kubernetes does: `$$` is a dollar and begins no reference.
fn with_reference_renamed(text: &str, name: &str, other: &str) -> String {
    let reference = format!("$({name})");
    let renamed = format!("$({other})");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (taken, written) = if from.starts_with(&reference) {
            (reference.len(), renamed.as_str())
        } else if from.starts_with("$$") {
            (2, "$$")
        } else {
            (1, "$")
        };
        out.push_str(written);
        rest = &from[taken..];
    }
    out.push_str(rest);
    out
}

/// The first one of a port and protocol stays. Where another name is lost, what refers to it gets the number.
pub(super) fn merge_ports(container: &mut Container) {
    let Some(ports) = container.ports.take() else { return };
    let mut merged: Vec<ContainerPort> = Vec::new();
    let mut lost: Vec<(String, i32)> = Vec::new();
    for port in ports {
        let same = |other: &&mut ContainerPort| {
            other.container_port == port.container_port && protocol(other) == protocol(&port)
        };
        match (merged.iter_mut().find(same), port.name.clone()) {
            (None, _) => merged.push(port),
            (Some(_), None) => {}
            (Some(first), Some(name)) if first.name.as_ref().is_none_or(|other| *other == name) => {
                first.name = Some(name);
            }
            (Some(_), Some(name)) => lost.push((name, port.container_port)),
        }
    }
    container.ports = Some(merged);
    for reference in port_references(container) {
        if let IntOrString::String(name) = reference
            && let Some((_, number)) = lost.iter().find(|(other, _)| other == name)
        {
            *reference = IntOrString::Int(*number);
        }
    }
}

/// Where a container's probes and hooks name one of its ports.
pub(super) fn port_references(container: &mut Container) -> Vec<&mut IntOrString> {
    let mut found = Vec::new();
    let probes =
        [&mut container.startup_probe, &mut container.readiness_probe, &mut container.liveness_probe];
    for probe in probes.into_iter().flatten() {
        found.extend(probe.http_get.as_mut().map(|get| &mut get.port));
        found.extend(probe.tcp_socket.as_mut().map(|socket| &mut socket.port));
    }
    if let Some(lifecycle) = &mut container.lifecycle {
        let hooks: [&mut Option<LifecycleHandler>; 2] = [&mut lifecycle.post_start, &mut lifecycle.pre_stop];
        for hook in hooks.into_iter().flatten() {
            found.extend(hook.http_get.as_mut().map(|get| &mut get.port));
            found.extend(hook.tcp_socket.as_mut().map(|socket| &mut socket.port));
        }
    }
    found
}
