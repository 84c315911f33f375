//! Writes what is planned to the API server, where it differs from what is there.

use std::hash::{DefaultHasher, Hasher};

use byway_api::{NodeRoutes, NodeRoutesSpec, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

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
    /// Whether there is an object already.
    pub exists: bool,
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
    // Merging costs the API server less than applying, which parses YAML; but it cannot create.
    if wanted.exists {
        let how =
            PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch(&node, &how, &Patch::Merge(merge_patch(&object)?)).await {
            Err(error) if crate::write::is_gone(&error) => {}
            done => return Ok(done.map(drop)?),
        }
    }
    api.patch(&node, &PatchParams::apply(names::FIELD_MANAGER).force(), &Patch::Apply(&object)).await?;
    Ok(())
}

/// Takes lists as a whole, and takes away what is null (RFC 7386).
fn merge_patch(object: &NodeRoutes) -> Result<Value, WriteError> {
    let mut spec = json!({ "agentPodUid": null, "previews": null, "targets": null, "environments": null });
    let fields = serde_json::to_value(&object.spec).map_err(kube::Error::SerdeError)?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    Ok(json!({ "metadata": { "ownerReferences": object.metadata.owner_references }, "spec": spec }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not written would stay as it was.
    #[test]
    fn a_patch_names_every_field_of_the_spec() {
        let (_, crd) =
            byway_api::crds().into_iter().find(|(_, it)| it.spec.names.kind == "NodeRoutes").unwrap();
        let version = &crd.spec.versions[0];
        let schema = version.schema.as_ref().and_then(|it| it.open_api_v3_schema.as_ref()).unwrap();
        let spec = &schema.properties.as_ref().unwrap()["spec"];
        let known: Vec<&String> = spec.properties.as_ref().unwrap().keys().collect();
        let patch = merge_patch(&NodeRoutes::new("node", NodeRoutesSpec::default())).unwrap();
        let mut written: Vec<&String> = patch["spec"].as_object().unwrap().keys().collect();
        written.sort();
        assert_eq!(written, known);
    }
}
