//! A single object that a Preview owns: written only where it differs, and never one of somebody else's.

use std::sync::Arc;

use byway_api::conditions::reason;
use byway_api::{Preview, names};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use byway_plan::wish::Wish;

use super::stop::Stop;
use crate::write;

/// What a Preview may own.
pub(super) trait Child:
    Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + Serialize
    + std::fmt::Debug
{
}

impl<T> Child for T where
    T: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug
{
}

/// A child that is as wanted.
pub(super) struct Written<T> {
    /// Its `metadata.generation`.
    pub(super) generation: Option<i64>,
    /// How it was before.
    pub(super) before: Option<T>,
}

/// Applies a child, unless it is as wanted already, or belongs to somebody else.
///
/// A forced apply over a foreign object would take it over, and deleting the Preview would then delete it. So one that is
/// there is only written under its UID, and one that is not there without force.
///
/// An object that somebody changed since, as `is_untouched` tells, is put back.
pub(super) async fn apply<T: Child>(
    client: &Client,
    wish: &Wish,
    child: &T,
    is_untouched: impl Fn(&T) -> bool,
) -> Result<Written<T>, Stop> {
    let api: Api<T> = Api::namespaced(client.clone(), &wish.name.namespace);
    let name = child.name_any();
    let there = api.get_opt(&name).await.map_err(|error| Stop::Write(error.into()))?;
    let params = PatchParams::apply(names::FIELD_MANAGER);
    let (object, params) = match &there {
        None => (child.clone(), params),
        Some(there) if !is_ours(there, &wish.preview) => return Err(name_taken(&name)),
        Some(it) if !is_another(it, child) && is_untouched(it) => {
            let generation = it.meta().generation;
            return Ok(Written { generation, before: there });
        }
        Some(there) => {
            let mut object = child.clone();
            object.meta_mut().uid = there.meta().uid.clone();
            if !is_untouched(there) {
                put_back(&api, there, &object).await?;
            }
            (object, params.force())
        }
    };
    match api.patch(&name, &params, &Patch::Apply(&object)).await {
        Ok(now) => Ok(Written { generation: now.meta().generation, before: there }),
        // Somebody made one of this name since it was looked for.
        Err(kube::Error::Api(status)) if status.code == 409 && there.is_none() => Err(name_taken(&name)),
        Err(error) => Err(error.into()),
    }
}

/// A child as it is there, unless it belongs to somebody else.
pub(super) async fn there<T: Child>(
    client: &Client,
    namespace: &str,
    name: &str,
    preview: &Preview,
) -> Result<Option<T>, Stop> {
    let api: Api<T> = Api::namespaced(client.clone(), namespace);
    let there = api.get_opt(name).await.map_err(|error| Stop::Write(error.into()))?;
    Ok(there.filter(|it| is_ours(it, preview)))
}

/// Deletes a child, unless it belongs to somebody else.
pub(super) async fn delete<T: Child>(
    client: &Client,
    namespace: &str,
    name: &str,
    preview: &Arc<Preview>,
) -> Result<(), Stop> {
    let Some(there) = there::<T>(client, namespace, name, preview).await? else { return Ok(()) };
    remove(client, namespace, &there).await
}

/// Deletes a child that was seen to be there, and no other one of its name.
pub(super) async fn remove<T: Child>(client: &Client, namespace: &str, there: &T) -> Result<(), Stop> {
    let api: Api<T> = Api::namespaced(client.clone(), namespace);
    let same = Preconditions { uid: there.meta().uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(same), ..DeleteParams::background() };
    match api.delete(&there.name_any(), &params).await {
        Err(error) if !write::is_gone(&error) => Err(Stop::Write(error.into())),
        _ => Ok(()),
    }
}

/// Puts an object back to what is wanted of it, with nobody's fields but ours: an apply takes away only what this controller
/// had applied before, and what somebody added by hand would stay.
async fn put_back<T>(api: &Api<T>, there: &T, wanted: &T) -> Result<(), Stop>
where
    T: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let mut object = wanted.clone();
    object.meta_mut().resource_version = there.meta().resource_version.clone();
    object.meta_mut().managed_fields = Some(vec![ManagedFieldsEntry::default()]); // an empty one: forget whose they were
    tracing::warn!(object = wanted.name_any(), "somebody changed it: putting it back");
    api.replace(&wanted.name_any(), &PostParams::default(), &object).await?;
    Ok(())
}

/// Whether both send the same ports to the same pods. The API server fills in the rest.
pub(super) fn serve_alike(one: &Service, other: &Service) -> bool {
    let [one, other] = [one, other].map(|it| it.spec.as_ref());
    let selector = |spec: Option<&ServiceSpec>| spec.and_then(|it| it.selector.clone());
    let ports = |spec: Option<&ServiceSpec>| -> Vec<_> {
        let ports = spec.into_iter().flat_map(|it| it.ports.iter().flatten());
        ports.map(|it| (it.port, it.target_port.clone())).collect()
    };
    selector(one) == selector(other) && ports(one) == ports(other)
}

/// Whether something else is to be applied than was.
pub(super) fn is_another<T: Resource>(there: &T, wanted: &T) -> bool {
    applied(there) != applied(wanted)
}

/// The hash of what was applied.
fn applied<T: Resource>(object: &T) -> Option<&String> {
    object.meta().annotations.as_ref()?.get(names::APPLIED_ANNOTATION)
}

fn is_ours<T: Resource>(object: &T, preview: &Preview) -> bool {
    let owners = object.meta().owner_references.iter().flatten();
    let mut uids = owners.filter(|it| it.controller == Some(true)).map(|it| Some(&it.uid));
    uids.any(|uid| uid == preview.metadata.uid.as_ref())
}

fn name_taken(name: &str) -> Stop {
    let message = format!(
        "{name} exists and does not belong to this Preview: delete it, or make the Preview under another name"
    );
    Stop::No(reason::NAME_TAKEN.to_owned(), message)
}
