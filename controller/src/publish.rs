//! Writes what is planned to the API server, where it differs from what is there.

use std::sync::Arc;

use byway_api::{NodeRoutes, NodeRoutesSpec, names};
use byway_plan::rows::Name;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde_json::json;

use crate::write::WriteError;

/// The routes of a node that are wanted; `None`: no object.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// UID of the node: the object goes with it.
    pub node_uid: Name,
    /// Whether there is an object already.
    pub exists: bool,
    /// What to steer.
    pub routes: Option<Arc<NodeRoutesSpec>>,
}

/// Writes the routes of one node.
///
/// # Errors
///
/// When the API server does not take them.
pub async fn publish(client: Client, node: Name, wanted: Wanted) -> Result<(), WriteError> {
    let api: Api<NodeRoutes> = Api::all(client);
    let Some(spec) = wanted.routes else {
        return match api.delete(&node, &DeleteParams::default()).await {
            Err(error) if !crate::write::is_gone(&error) => Err(error.into()),
            _ => Ok(()),
        };
    };
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.to_string(),
        uid: wanted.node_uid.to_string(),
        ..OwnerReference::default()
    };
    let metadata = json!({ "name": &*node, "ownerReferences": [owner] });
    // Merging costs the API server less than applying, which parses YAML; but it cannot create.
    if wanted.exists {
        let how =
            PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let agent = &spec.agent_pod_uid; // also as null, else the one before would stay (RFC 7386)
        let spec = json!({ "agentPodUid": agent, "table": spec.table });
        let patch = json!({ "metadata": metadata, "spec": spec });
        match api.patch_metadata(&node, &how, &Patch::Merge(patch)).await {
            Err(error) if crate::write::is_gone(&error) => {}
            done => return Ok(done.map(drop)?),
        }
    }
    let object = json!({
        "apiVersion": NodeRoutes::api_version(&()), "kind": NodeRoutes::kind(&()), "metadata": metadata,
        "spec": &*spec,
    });
    api.patch_metadata(&node, &PatchParams::apply(names::FIELD_MANAGER).force(), &Patch::Apply(&object))
        .await?;
    Ok(())
}
