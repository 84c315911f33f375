//! Writes what is planned to the API server, where it differs from what is there.

use std::hash::{DefaultHasher, Hasher};

use byway_api::{NodeRoutes, NodeRoutesSpec, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};

use crate::rows::Name;
use crate::write::WriteError;

/// What tells specs apart.
pub fn fingerprint(spec: &NodeRoutesSpec) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&serde_json::to_vec(spec).unwrap_or_default());
    hasher.finish()
}

/// The routes of a node that are wanted; `None`: no object.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// UID of the node: the object goes with it.
    pub node_uid: Name,
    /// What to steer.
    pub spec: Option<NodeRoutesSpec>,
}

/// Writes the routes of one node.
///
/// # Errors
///
/// When the API server does not take them.
pub async fn publish(client: Client, node: Name, wanted: Wanted) -> Result<(), WriteError> {
    let api: Api<NodeRoutes> = Api::all(client);
    let Some(spec) = wanted.spec else {
        return match api.delete(&node, &DeleteParams::default()).await {
            Err(error) if !crate::write::is_gone(&error) => Err(error.into()),
            _ => Ok(()),
        };
    };
    let mut object = NodeRoutes::new(&node, spec);
    object.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.to_string(),
        uid: wanted.node_uid.to_string(),
        ..OwnerReference::default()
    }]);
    api.patch(&node, &PatchParams::apply(names::FIELD_MANAGER).force(), &Patch::Apply(&object)).await?;
    Ok(())
}
