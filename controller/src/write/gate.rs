//! Opens the readiness gate of a preview's pod, once every agent routes to it.

use byway_api::{conditions::reason, names};
use byway_plan::rows::Ref;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::WriteError;

/// Sets the condition. A pod that has gone needs none.
///
/// # Errors
///
/// When the API server does not take it.
pub async fn open(client: Client, pod: Ref) -> Result<(), WriteError> {
    let api: Api<Pod> = Api::namespaced(client, &pod.namespace);
    let condition = json!({
        "type": names::READINESS_GATE,
        "status": "True",
        "reason": reason::PROGRAMMED,
        "message": "every agent routes to this pod",
        "lastTransitionTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    let status = Patch::Strategic(json!({ "status": { "conditions": [condition] } }));
    match api.patch_status(&pod.name, &PatchParams::default(), &status).await {
        Err(error) if !super::is_gone(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
