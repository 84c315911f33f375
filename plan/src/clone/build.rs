//! The clone of a target.

use byway_api::{Key, Preview, TargetKind, names};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use kube_core::ResourceExt;

use super::labels::{self, Selecting};
use super::pod::containers_mut;
use super::{
    Children, Refusal, Source, Surroundings, annotations, check, chosen, container, deployment, devices,
    downward, duplicates, files, injected, mapping, mesh, ordinal, policies, ports, sidecars, spread, unset,
    volumes, warn,
};
use crate::rows::ServiceRow;
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
    // Where the preview listens for them.
    let served = ports::served(&preview.spec.incoming, &ports);

    let mut spec = source.spec.clone();
    let mut meta = source.meta.clone();
    if preview.spec.skip_init_containers {
        injected::remove_containers(&mut meta, &mut spec, &skipped(&source.spec));
    }
    let mut warnings = warn::of_pod(&spec, source);
    warnings.extend(ordinal::warning(&spec, source, preview, &chosen));
    warnings.extend(devices::shared(&spec));
    warnings.extend(volumes::share(&mut spec, source, preview.spec.claim_templates, around)?);
    warnings.extend(ports::not_steered(preview, source, &chosen, around));
    warnings.extend(ports::unused_mapping(&preview.spec.incoming, &ports));

    let template = source.meta.labels.clone().unwrap_or_default();
    let selecting = selecting(source, around, &spec, &namespace);
    let own = labels::own(&name, key);
    let own_value = names::child_name(&name, &preview.uid().unwrap_or_default());
    let wished = preview.spec.labels.clone().unwrap_or_default();
    let turned = labels::turned(&template, &wished, &own, &selecting, &own_value);
    warnings.extend(labels::turned_in_vain(&wished, &turned));
    let labels: Labels = turned.clone().into_iter().chain(own).collect();
    warnings.extend(labels::inescapable(&labels, &selecting));
    let judged = policies::judge(around.network_policies, &template, &labels, &served, &spec.containers);
    let network_policy = policies::for_agents(preview, key, &judged.shut, around.agents_namespace);
    warnings.extend(judged.warnings);
    warnings.extend(downward::changed_files(&spec, &template, &labels));

    duplicates::merge(&mut spec);
    spread::turn(&mut spec, &template, &namespace, &labels::selector(&name));
    release(&mut spec, source.kind);
    for container in containers_mut(&mut spec) {
        downward::keep_values(container, &template, &labels);
    }
    for container in spec.containers.iter_mut().filter(|container| container.name == chosen) {
        warnings.extend(mapping::map(container, &preview.spec));
        warnings.extend(unset::unset(container, &preview.spec));
        chosen::change(container, preview);
        ports::listen(container, &preview.spec.incoming);
    }
    let files = files::mount(&mut spec, &chosen, preview, key);
    chosen::introduce(&mut spec, preview, key);
    chosen::linger(&mut spec, preview);
    let consul = mesh::Consul {
        has_service: around.services.iter().any(|service| means(service, &labels)),
        has_proxy: around.in_consul || source.injected.iter().any(|name| name == sidecars::CONSUL_PROXY),
    };
    let mut annotations = meta.annotations.unwrap_or_default();
    warnings.extend(annotations::turn(&mut annotations, preview, &served, consul));
    let of_workload = labels::of_workload(&source.labels, &template, &wished, &turned);
    let deployment =
        deployment::of_pods(preview, key, of_workload, turned, annotations, spec, files.as_ref());
    Ok(Children { deployment, service: None, network_policy, files, ports, warnings })
}

/// Whether the Service selects previews with these labels, on purpose.
fn means(service: &ServiceRow, labels: &Labels) -> bool {
    let selector = selectors::exactly(&service.selector);
    service.selector.keys().any(|key| labels::is_own(key)) && selectors::matches(&selector, labels)
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
    let affinity = spread::selectors(spec, &template, namespace)
        .into_iter()
        .map(|selector| Selecting::new(format!("an affinity or spread of {source}"), selector));
    workload.chain(Selecting::all(around.services, around.selectors)).chain(affinity).collect()
}

/// Takes away what only one pod can have, and what a preview must not have.
fn release(spec: &mut PodSpec, kind: TargetKind) {
    for port in containers_mut(spec).flat_map(|container| container.ports.iter_mut().flatten()) {
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
