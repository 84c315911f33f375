//! Argo's Rollouts: a kind that may not be there.

use kube::core::ApiResource;

/// How the API server knows them.
pub(crate) fn rollout_resource() -> ApiResource {
    ApiResource {
        group: "argoproj.io".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: "Rollout".to_owned(),
        plural: "rollouts".to_owned(),
    }
}
