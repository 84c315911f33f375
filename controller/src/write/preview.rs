//! Writes the status of a Preview, and removes one that ended long ago.

use byway_api::{Preview, PreviewStatus, names};
use byway_plan::rows::{Name, Ref};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::json;

use super::{WriteError, is_gone};

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
    match api.patch_status(&name.name, &params, &Patch::Apply(object)).await {
        // Others wrote it again and again meanwhile, unless it is another one by now.
        Err(error) if is_conflict(&error) => {
            let there = api.get_metadata_opt(&name.name).await?;
            let is_same = there.is_some_and(|it| it.metadata.uid.as_deref() == Some(&*uid));
            if is_same { Err(error.into()) } else { Ok(()) }
        }
        done => settled(done),
    }
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
        Err(error) if is_gone(&error) || is_conflict(&error) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
