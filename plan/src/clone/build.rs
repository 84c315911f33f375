//! The clone of a target.

use std::collections::BTreeMap;

use byway_api::{Key, Preview, TargetKind};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::ResourceExt;

use super::labels::{self, Selecting};
use super::{
    Children, Refusal, Source, Surroundings, check, chosen, container, deployment, downward, duplicates,
    injected, mesh, policies, ports, spread, volumes, warn,
};
use crate::selectors::{self, Labels};

#[cfg(test)]
mod tests;

/// The clone of a target, for a Preview as the API server gives it. `key` is the key in force.
///
/// # Errors
///
/// When the target cannot be cloned, or not unless more is said of it; with what to do.
pub fn of_target(
    preview: &Preview,
    key: &Key,
    source: &Source,
    around: &Surroundings<'_>,
) -> Result<Children, Refusal> {
    check::clonable(source)?;
    let name = preview.name_any();
    let namespace = preview.namespace().unwrap_or_default();
    let chosen = container::choose(preview, source, around)?;
    let ports = ports::steered(preview, source, &chosen, around)?;

    let mut spec = source.spec.clone();
    let mut meta = source.meta.clone();
    if preview.spec.skip_init_containers {
        injected::remove_containers(&mut meta, &mut spec, &skipped(&source.spec));
    }
    let mut warnings = warn::of_pod(&spec, source);
    warnings.extend(volumes::share(&mut spec, source, preview.spec.claim_templates, around)?);
    warnings.extend(ports::not_steered(preview, source, &chosen, around));

    let template = source.meta.labels.clone().unwrap_or_default();
    let selecting = selecting(source, around, &spec, &namespace);
    let own = labels::own(&name, key);
    let kept = labels::kept(&template, &own, &selecting);
    let labels: Labels = kept.clone().into_iter().chain(own).collect();
    warnings.extend(labels::inescapable(&labels, &selecting));
    let judged = policies::judge(around.network_policies, &template, &labels, &ports, &spec.containers);
    let network_policy = policies::for_agents(preview, key, &judged.shut, around.agents_namespace);
    warnings.extend(judged.warnings);
    warnings.extend(downward::empty_files(&spec, &template, &labels));

    duplicates::merge(&mut spec);
    spread::turn(&mut spec, &template, &namespace, &labels::selector(&name));
    release(&mut spec, source.kind);
    for container in all_containers(&mut spec) {
        downward::keep_values(container, &template, &labels);
    }
    for container in spec.containers.iter_mut().filter(|container| container.name == chosen) {
        chosen::change(container, preview);
    }
    chosen::introduce(&mut spec, preview, key);
    chosen::linger(&mut spec, preview);
    let annotations = annotations(meta, &ports);
    let deployment = deployment::of_pods(preview, key, kept, annotations, spec);
    Ok(Children { deployment, service: None, network_policy, ports, warnings })
}

/// The init containers that end before the ordinary ones start. Native sidecars stay, and so does what a mesh needs.
fn skipped(spec: &PodSpec) -> impl Fn(&Container) -> bool + use<> {
    let init = spec.init_containers.iter().flatten().filter(|container| injected::runs_first(container));
    let names: Vec<String> = init.map(|container| container.name.clone()).collect();
    move |container| names.contains(&container.name)
}

/// Everything that must not select the clone.
fn selecting(source: &Source, around: &Surroundings<'_>, spec: &PodSpec, namespace: &str) -> Vec<Selecting> {
    let template = source.meta.labels.clone().unwrap_or_default();
    let workload =
        source.selector.iter().map(|selector| Selecting::new(source.to_string(), selector.clone()));
    let services = around.services.iter().filter(|service| !service.selector.is_empty()).map(|service| {
        Selecting::new(format!("Service {}", service.name), selectors::exactly(&service.selector))
    });
    let others = around
        .selectors
        .iter()
        .map(|row| Selecting::new(format!("{} {}", row.kind, row.name), row.selector.clone()));
    let affinity = spread::selectors(spec, &template, namespace)
        .into_iter()
        .map(|selector| Selecting::new(format!("an affinity or spread of {source}"), selector));
    workload.chain(services).chain(others).chain(affinity).collect()
}

/// Takes away what only one pod can have, and what a preview must not have.
fn release(spec: &mut PodSpec, kind: TargetKind) {
    for port in all_containers(spec).flat_map(|container| container.ports.iter_mut().flatten()) {
        port.host_port = None;
        port.host_ip = None;
    }
    spec.node_name = None;
    // A preview never takes the place of something that runs.
    spec.priority = None;
    spec.priority_class_name = None;
    spec.preemption_policy = None;
    spec.active_deadline_seconds = None;
    spec.restart_policy = Some("Always".to_owned());
    if matches!(kind, TargetKind::StatefulSet | TargetKind::Pod) {
        // By these a pod is known to its peers as one member of a cluster, and there is that member already. A
        // Deployment gives all its pods the same ones, so there they are nobody's identity.
        spec.hostname = None;
        spec.subdomain = None;
        spec.hostname_override = None;
        spec.set_hostname_as_fqdn = None;
    }
}

fn annotations(meta: ObjectMeta, ports: &[u16]) -> BTreeMap<String, String> {
    let mut annotations = meta.annotations.unwrap_or_default();
    annotations.retain(|name, _| !labels::is_tracking(name) && !labels::is_own(name));
    mesh::exclude(&mut annotations, ports);
    annotations
}

fn all_containers(spec: &mut PodSpec) -> impl Iterator<Item = &mut Container> {
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten())
}
