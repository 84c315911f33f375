//! Variables of the target that have another value in the preview.

use byway_api::PreviewSpec;
use k8s_openapi::api::core::v1::Container;
use regex::Regex;

use super::{Warning, warn};

#[cfg(test)]
mod tests;

/// Gives the container's variables the values that `envMapping` says. What `envFrom` brings in is not known here.
pub(super) fn map(container: &mut Container, spec: &PreviewSpec) -> Option<Warning> {
    // What is no regular expression is said before anything is cloned.
    let mappings = spec.env_mapping.iter().filter_map(|it| Some((it.regex().ok()?, &it.value)));
    let mappings: Vec<(Regex, &String)> = mappings.collect();
    if mappings.is_empty() {
        return None;
    }
    for var in container.env.iter_mut().flatten() {
        if let Some((_, value)) = mappings.iter().find(|(names, _)| names.is_match(&var.name)) {
            (var.value, var.value_from) = (Some((*value).clone()), None);
        }
    }
    let has_more = container.env_from.as_ref().is_some_and(|sources| !sources.is_empty());
    has_more.then(warn::env_from_not_mapped)
}
