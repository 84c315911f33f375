//! Targets whose pods nobody can have a preview of.

use byway_api::{TargetKind, names};
use k8s_openapi::api::core::v1::PodSpec;

use super::{Refusal, Source, source::target_text};
use crate::selectors;

#[cfg(test)]
mod tests;

/// Refuses them, whatever the Preview says.
pub(super) fn clonable(source: &Source) -> Result<(), Refusal> {
    let target = || target_text(source.kind, &source.name);
    if let Some(preview) = source.meta.labels.as_ref().and_then(|labels| labels.get(names::PREVIEW_LABEL)) {
        return Err(Refusal::TargetIsPreview { target: target(), preview: preview.clone() });
    }
    let asks = source.selector.as_ref().is_some_and(|selector| !selectors::is_empty(selector));
    if source.kind == TargetKind::Rollout && !asks {
        return Err(Refusal::NoSelector { target: target() });
    }
    if source.spec.host_network == Some(true) {
        return Err(Refusal::TargetUsesHostNetwork { target: target() });
    }
    if is_windows(&source.spec) {
        return Err(Refusal::UnsupportedOs { target: target() });
    }
    if source.spec.containers.is_empty() {
        return Err(Refusal::NoTemplate { target: target() });
    }
    Ok(())
}

fn is_windows(spec: &PodSpec) -> bool {
    let selected = spec.node_selector.iter().flatten();
    spec.os.as_ref().is_some_and(|os| os.name == "windows")
        || selected
            .filter(|(key, _)| matches!(key.as_str(), "kubernetes.io/os" | "beta.kubernetes.io/os"))
            .any(|(_, value)| value == "windows")
}
