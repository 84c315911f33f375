//! Writes what is planned to the API server, where it differs from what is there.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use byway_api::{NodeRoutes, NodeRoutesSpec, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};
use serde_json::{Map, Value, json};

use crate::rows::Name;
use crate::write::WriteError;

/// What tells specs apart.
pub fn fingerprint(spec: &NodeRoutesSpec) -> u64 {
    Routes::new(spec).fingerprint()
}

/// The routes of a node as they are written: where a thousand nodes wait for their turn, values would take a multiple.
#[derive(Clone, Debug)]
pub struct Routes(Arc<Vec<u8>>);

impl Routes {
    /// Of a spec.
    pub fn new(spec: &NodeRoutesSpec) -> Self {
        Self(Arc::new(serde_json::to_vec(spec).unwrap_or_default()))
    }

    /// What tells them apart.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher.finish()
    }

    fn spec(&self) -> Result<Map<String, Value>, kube::Error> {
        serde_json::from_slice(&self.0).map_err(kube::Error::SerdeError)
    }
}

/// The routes of a node that are wanted; `None`: no object.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// UID of the node: the object goes with it.
    pub node_uid: Name,
    /// Whether there is an object already.
    pub exists: bool,
    /// What to steer.
    pub routes: Option<Routes>,
}

/// Writes the routes of one node.
///
/// # Errors
///
/// When the API server does not take them.
pub async fn publish(client: Client, node: Name, wanted: Wanted) -> Result<(), WriteError> {
    let api: Api<PartialObjectMeta<NodeRoutes>> = Api::all(client);
    let Some(routes) = wanted.routes else {
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
        let patch = json!({ "metadata": metadata, "spec": with_nulls(routes.spec()?) });
        match api.patch(&node, &how, &Patch::Merge(patch)).await {
            Err(error) if crate::write::is_gone(&error) => {}
            done => return Ok(done.map(drop)?),
        }
    }
    let object = json!({
        "apiVersion": NodeRoutes::api_version(&()), "kind": NodeRoutes::kind(&()), "metadata": metadata,
        "spec": routes.spec()?,
    });
    api.patch(&node, &PatchParams::apply(names::FIELD_MANAGER).force(), &Patch::Apply(&object)).await?;
    Ok(())
}

/// A merge takes lists as a whole, and takes away what is null (RFC 7386).
fn with_nulls(mut spec: Map<String, Value>) -> Map<String, Value> {
    for field in ["agentPodUid", "previews", "targets", "environments"] {
        spec.entry(field).or_insert(Value::Null);
    }
    spec
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
        let previews = Map::from_iter([("previews".to_owned(), json!([]))]);
        let patch = with_nulls(previews);
        assert!(patch["previews"].is_array());
        let mut written: Vec<&String> = patch.keys().collect();
        written.sort();
        assert_eq!(written, known);
    }
}
