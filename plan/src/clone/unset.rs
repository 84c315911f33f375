//! Variables of the target that the preview is not to have.

use byway_api::PreviewSpec;
use k8s_openapi::api::core::v1::{Container, EnvVar};
use wildmatch::WildMatch;

use super::{Warning, warn};

#[cfg(test)]
mod tests;

/// Takes what `patterns` name out of the container's environment. What `envFrom` brings in from ConfigMaps and Secrets is
/// not known here: a name that is written out is set to an empty text, which goes before it.
pub(super) fn unset(container: &mut Container, spec: &PreviewSpec) -> Option<Warning> {
    let patterns = &spec.unset_env;
    if patterns.is_empty() {
        return None;
    }
    let globs: Vec<WildMatch> = patterns.iter().map(|pattern| WildMatch::new(pattern)).collect();
    let env = container.env.get_or_insert_default();
    env.retain(|var| !globs.iter().any(|glob| glob.matches(&var.name)));
    if container.env_from.as_ref().is_none_or(Vec::is_empty) {
        return None;
    }
    let (open, mut names): (Vec<&String>, Vec<&String>) =
        patterns.iter().partition(|pattern| pattern.contains(['*', '?']));
    names.retain(|name| spec.env.iter().all(|var| var.name != **name));
    let empty =
        |name: &&String| EnvVar { name: (*name).clone(), value: Some(String::new()), value_from: None };
    env.extend(names.iter().map(empty));
    Some(warn::env_from(&names, &open))
}
