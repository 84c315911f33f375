//! The containers of a pod.

use k8s_openapi::api::core::v1::{Container, PodSpec};

/// All of them, those that come first first.
pub(super) fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

/// The same, to be changed.
pub(super) fn containers_mut(spec: &mut PodSpec) -> impl Iterator<Item = &mut Container> {
    spec.init_containers.iter_mut().flatten().chain(spec.containers.iter_mut())
}

/// A container that runs beside the ordinary ones, though it starts before them (Kubernetes 1.29).
pub(super) fn is_native_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}
