//! Writes the status of a Preview, and removes one that ended long ago.

use byway_api::{Preview, PreviewStatus, names};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::json;

use super::WriteError;
use crate::rows::{Name, Ref};

/// Applies the status.
///
/// # Errors
///
/// When the API server does not take it.
pub async fn set_status(
    client: Client,
    name: Ref,
    uid: Name,
    status: PreviewStatus,
) -> Result<(), WriteError> {
    let api: Api<Preview> = Api::namespaced(client, &name.namespace);
    // The UID keeps it off a new Preview of the same name.
    let object = json!({
        "apiVersion": "byway.dev/v1alpha1",
        "kind": "Preview",
        "metadata": { "name": &*name.name, "namespace": &*name.namespace, "uid": &*uid },
        "status": status,
    });
    let params = PatchParams::apply(names::FIELD_MANAGER).force();
    settled(api.patch_status(&name.name, &params, &Patch::Apply(object)).await)
}

/// Deletes it, if it is still the same and nobody has changed it.
///
/// # Errors
///
/// When the API server does not take it.
pub async fn remove(client: Client, name: Ref, uid: Name, version: String) -> Result<(), WriteError> {
    let api: Api<Preview> = Api::namespaced(client, &name.namespace);
    let same = Preconditions { uid: Some(uid.to_string()), resource_version: Some(version) };
    let params = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
    settled(api.delete(&name.name, &params).await)
}

/// An object that has gone, or is another one by now, needs nothing.
fn settled<T>(done: kube::Result<T>) -> Result<(), WriteError> {
    match done {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
