//! Which of the target's containers gets the image.
//!
//! The one that is named; else the only one; else the one that runs another tag of the same image; else what
//! `kubectl.kubernetes.io/default-container` says; else the only one that serves the steered ports. Sidecars of meshes and
//! the like are not considered unless the image or the name says so. If that does not decide it, nobody is guessed.

use byway_api::Preview;
use k8s_openapi::api::core::v1::Container;

use super::{Refusal, Source, Surroundings, ports, sidecars, source::target_text};

#[cfg(test)]
mod tests;

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The name of the container that gets the image.
pub(super) fn choose(
    preview: &Preview,
    source: &Source,
    around: &Surroundings<'_>,
) -> Result<String, Refusal> {
    let target = || target_text(source.kind, &source.name);
    let all = &source.spec.containers;
    let named = preview.spec.target.as_ref().and_then(|target| target.container.as_ref());
    if let Some(name) = named {
        return match all.iter().any(|container| container.name == *name) {
            true => Ok(name.clone()),
            false => Err(Refusal::NoSuchContainer {
                target: target(),
                container: name.clone(),
                choices: names(all),
            }),
        };
    }
    if let [only] = all.as_slice() {
        return Ok(only.name.clone());
    }
    let candidates: Vec<&Container> = all.iter().filter(|c| !sidecars::is_sidecar(&c.name)).collect();
    if let [only] = candidates.as_slice() {
        return Ok(only.name.clone());
    }
    let repository_of_preview = repository(&preview.spec.image);
    let same_image = only(all.iter(), |c| c.image.as_deref().map(repository) == Some(repository_of_preview));
    let annotation = source.meta.annotations.as_ref().and_then(|all| all.get(DEFAULT_CONTAINER));
    let annotated = || annotation.and_then(|name| all.iter().find(|c| c.name == *name));
    let serving = || {
        let given = &preview.spec.incoming.ports;
        let sought = if given.is_empty() { ports::of_services(source, around) } else { given.clone() };
        // Without any port to go by, the only container that names one serves.
        only(candidates.iter().copied(), |c| {
            ports::of_container(c).any(|port| sought.is_empty() || sought.contains(&port))
        })
    };
    let found = same_image.or_else(annotated).or_else(serving);
    found
        .map(|container| container.name.clone())
        .ok_or_else(|| Refusal::AmbiguousContainer { target: target(), choices: names(all) })
}

fn names(containers: &[Container]) -> String {
    containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The one element for which `which` holds, if there is exactly one.
fn only<'a>(
    of: impl Iterator<Item = &'a Container>,
    which: impl Fn(&Container) -> bool,
) -> Option<&'a Container> {
    let mut those = of.filter(|container| which(container));
    those.next().filter(|_| those.next().is_none())
}

/// An image without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A colon before the last slash is of the registry's port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}
