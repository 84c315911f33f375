//! Takes labels off a preview's pod that runs, and gives it others.

use std::collections::BTreeMap;

use byway_plan::rows::{Name, Ref};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::WriteError;

/// Labels of one pod, by its UID: the new values, and `None` for those that go.
pub type Changes = (Name, BTreeMap<String, Option<String>>);

/// Changes them. A pod that has gone, or is another one by now, needs nothing.
///
/// # Errors
///
/// When the API server does not take it.
pub async fn change(client: Client, pod: Ref, (uid, labels): Changes) -> Result<(), WriteError> {
    let api: Api<Pod> = Api::namespaced(client, &pod.namespace);
    let patch = Patch::Merge(json!({ "metadata": { "uid": &*uid, "labels": labels } }));
    match api.patch_metadata(&pod.name, &PatchParams::default(), &patch).await {
        Ok(_) => {
            tracing::warn!(%pod, ?labels, "somebody selects a preview's pod: its labels are changed");
            Ok(())
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
