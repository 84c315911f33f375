//! Whether the namespace's quotas have room for a preview.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;

use crate::doctor::facts::Facts;
use crate::doctor::finding::Findings;
use crate::doctor::quantity::number;

pub(super) fn quota(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    let Some(quotas) = findings.see(&facts.quotas) else { return };
    let Some(Ok(children)) = target.clone_of() else { return };
    let Some(pods) = children.deployment.spec.and_then(|spec| spec.template.spec) else { return };
    let replicas = f64::from(target.preview.spec.replicas);
    let mut well = true;
    for quota in quotas {
        // Of pods with some property only: whether a preview has it is not looked at.
        if quota.spec.as_ref().is_some_and(|spec| spec.scopes.is_some() || spec.scope_selector.is_some()) {
            continue;
        }
        let Some(status) = &quota.status else { continue };
        for (resource, hard) in status.hard.iter().flatten() {
            let used =
                status.used.as_ref().and_then(|used| used.get(resource)).and_then(number).unwrap_or(0.0);
            let (Some(hard), Some(needed)) = (number(hard), needed(resource, &pods)) else { continue };
            let needed = needed
                * if resource.ends_with(".byway.dev") || resource.ends_with(".apps") {
                    1.0
                } else {
                    replicas
                };
            if needed > 0.0 && used + needed > hard {
                well = false;
                findings.problem(format!(
                    "the quota {} has no room: {resource} {} is left, a preview needs {}",
                    quota.name_any(),
                    shown(resource, (hard - used).max(0.0)),
                    shown(resource, needed)
                ));
            }
        }
    }
    if well {
        findings.ok(match quotas.len() {
            0 => "the namespace has no quota",
            _ => "the namespace's quotas have room for a preview",
        });
    }
}

/// What one pod takes of a resource of a quota, and the Deployment and Preview themselves.
fn needed(resource: &str, pods: &PodSpec) -> Option<f64> {
    match resource {
        "pods" | "count/pods" | "count/deployments.apps" | "count/previews.byway.dev" => Some(1.0),
        "cpu" | "requests.cpu" => Some(sum(pods, "cpu", false)),
        "memory" | "requests.memory" => Some(sum(pods, "memory", false)),
        "requests.ephemeral-storage" | "ephemeral-storage" => Some(sum(pods, "ephemeral-storage", false)),
        "limits.cpu" => Some(sum(pods, "cpu", true)),
        "limits.memory" => Some(sum(pods, "memory", true)),
        _ => None,
    }
}

/// Of all containers that run at the same time; an init container counts where it needs more than these.
fn sum(pods: &PodSpec, resource: &str, limits: bool) -> f64 {
    let of = |container: &Container| {
        let resources = container.resources.as_ref();
        let limit = resources.and_then(|it| it.limits.as_ref());
        // Left out, a request is as high as the limit.
        let request = resources.and_then(|it| it.requests.as_ref());
        let get =
            |list: Option<&BTreeMap<String, Quantity>>| list.and_then(|it| it.get(resource)).and_then(number);
        let found = if limits { get(limit) } else { get(request).or_else(|| get(limit)) };
        found.unwrap_or(0.0)
    };
    let is_native = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let init = || pods.init_containers.iter().flatten();
    let together: f64 = pods.containers.iter().chain(init().filter(is_native)).map(of).sum();
    init().filter(|container| !is_native(container)).map(of).fold(together, f64::max)
}

fn shown(resource: &str, amount: f64) -> String {
    if resource.contains("memory") || resource.contains("storage") {
        return format!("{:.0}Mi", amount / 1_048_576.0);
    }
    if resource.contains("cpu") { format!("{:.0}m", amount * 1000.0) } else { format!("{amount:.0}") }
}
