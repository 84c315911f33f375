//! Devices that a clone would share with its target.

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::{Warning, pod::containers, warn};

#[cfg(test)]
mod tests;

/// Resources of which one device gives to many pods, with nothing between them but their good will.
const OF_SHARED: &[&str] = &[
    "aliyun.com/gpu-mem",
    "nvidia.com/gpucores",
    "nvidia.com/gpumem",
    "nvidia.com/gpumem-percentage",
    "tencent.com/vcuda-core",
    "tencent.com/vcuda-memory",
    "volcano.sh/gpu-memory",
    "volcano.sh/vgpu-cores",
    "volcano.sh/vgpu-memory",
    "volcano.sh/vgpu-number",
];
/// NVIDIA's device plugin names time-sliced devices so, e.g. `nvidia.com/gpu.shared`.
const SHARED: &str = ".shared";
/// What NVIDIA's container runtime goes by, asked for or not.
const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";

/// Names the devices that are the target's, too. A claim that is made for each pod, and a device that a pod has for itself,
/// is not shared.
pub(super) fn shared(spec: &PodSpec) -> Vec<Warning> {
    let claims = spec.resource_claims.iter().flatten();
    let claims: Vec<&str> = claims.filter_map(|claim| claim.resource_claim_name.as_deref()).collect();
    let mut devices: Vec<String> = containers(spec).flat_map(of_container).collect();
    devices.sort();
    devices.dedup();
    let mut warnings = Vec::new();
    warnings.extend((!claims.is_empty()).then(|| warn::resource_claims_shared(&claims)));
    warnings.extend((!devices.is_empty()).then(|| warn::devices_shared(&devices)));
    warnings
}

fn of_container(container: &Container) -> Vec<String> {
    let resources = container.resources.iter();
    let named = resources.flat_map(|it| [&it.limits, &it.requests]).flatten().flat_map(|list| list.keys());
    let named: Vec<&String> = named.collect();
    let is_shared = |name: &&&String| name.ends_with(SHARED) || OF_SHARED.contains(&name.as_str());
    let mut found: Vec<String> = named.iter().filter(is_shared).map(|name| (**name).clone()).collect();
    // Without a resource of its own it sees what nobody gave it.
    let has_own = named.iter().any(|name| name.starts_with("nvidia.com/"));
    let visible = container.env.iter().flatten().find(|var| var.name == VISIBLE);
    let visible = visible.and_then(|var| var.value.as_deref()).unwrap_or_default();
    if !has_own && !matches!(visible, "" | "none" | "void") {
        found.push(format!("{VISIBLE}={visible}"));
    }
    found
}
