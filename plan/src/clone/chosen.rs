//! What a Preview changes in the containers: image, command, environment, and how they end.

use byway_api::{Key, Mode, Preview, names};
use k8s_openapi::api::core::v1::{Container, EnvVar, Lifecycle, LifecycleHandler, PodSpec, SleepAction};
use kube_core::ResourceExt;

use super::injected;

#[cfg(test)]
mod tests;

/// How long a container goes on serving after it was told to end, in seconds: agents take the route away meanwhile.
const SLEEP: i64 = 5;

/// What Kubernetes gives a pod that does not say how long it may take to end, in seconds.
const DEFAULT_GRACE: i64 = 30;

/// Gives the container `name` what the Preview says of it.
pub(super) fn change(container: &mut Container, preview: &Preview) {
    let spec = &preview.spec;
    if let Some(policy) = spec.image_pull_policy {
        container.image_pull_policy = Some(policy.as_str().to_owned());
    // Never means that there is nowhere to pull from, e.g. on a test cluster whose nodes were given their images.
    } else if is_mutable(&spec.image) && container.image_pull_policy.as_deref() != Some("Never") {
        container.image_pull_policy = Some("Always".to_owned());
    }
    container.image = Some(spec.image.clone());
    if let Some(command) = &spec.command {
        container.command = Some(command.clone());
    }
    if let Some(args) = &spec.args {
        container.args = Some(args.clone());
    }
    let env = container.env.get_or_insert_default();
    for var in &spec.env {
        set(env, var.clone());
    }
}

/// Tells all ordinary containers whose they are.
pub(super) fn introduce(spec: &mut PodSpec, preview: &Preview, key: &Key) {
    for container in &mut spec.containers {
        let env = container.env.take().unwrap_or_default();
        // First, so that what follows can refer to them.
        let named = [(names::KEY_ENV, key.as_str().to_owned()), (names::PREVIEW_ENV, preview.name_any())];
        let mut all: Vec<EnvVar> = named
            .map(|(name, value)| EnvVar { name: name.to_owned(), value: Some(value), value_from: None })
            .into();
        let ours = |var: &EnvVar| var.name == names::KEY_ENV || var.name == names::PREVIEW_ENV;
        all.extend(env.into_iter().filter(|var| !ours(var)));
        container.env = Some(all);
    }
}

/// Lets containers serve on until the agents know that the preview has ended, where they have no hook of their own.
///
/// The hook counts towards the grace period, so it takes no more than half. Kubernetes knows it since 1.30.
pub(super) fn linger(spec: &mut PodSpec, preview: &Preview) {
    let grace = spec.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE);
    let seconds = SLEEP.min(grace / 2);
    if preview.spec.incoming.mode == Mode::Off || seconds < 1 {
        return;
    }
    for container in spec.containers.iter_mut().filter(|c| !injected::is_known(&c.name)) {
        let lifecycle = container.lifecycle.get_or_insert_with(Lifecycle::default);
        lifecycle.pre_stop.get_or_insert_with(|| LifecycleHandler {
            sleep: Some(SleepAction { seconds }),
            ..LifecycleHandler::default()
        });
    }
}

/// Whether another image can come to have this name: all but a digest. What a tag looks like promises nothing.
pub(super) fn is_mutable(image: &str) -> bool {
    !image.split_once('@').is_some_and(|(_, digest)| digest.contains(':'))
}

fn set(env: &mut Vec<EnvVar>, var: EnvVar) {
    match env.iter_mut().find(|other| other.name == var.name) {
        Some(other) => *other = var,
        None => env.push(var),
    }
}
