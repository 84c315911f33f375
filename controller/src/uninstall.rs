//! What runs for Previews is ended before Byway is taken away: clones that nobody looks after would run for ever.
//!
//! It counts on no controller. One that runs is stopped first, so that it makes nothing again, and one that is broken is not
//! missed. Routes go before previews: keyed requests reach the app while the clones end.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use byway_api::{NodeRoutes, Preview, names};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde_json::json;

use crate::write::is_gone;

#[cfg(test)]
mod tests;

/// The name of the controller's Deployment, its pods' component, and its Lease.
pub const CONTROLLER: &str = "byway-controller";
/// The pod of `helm test`, which helm leaves if it failed.
const CHECK: &str = "byway-check";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// The pods of a controller on a dead node never go, and do nothing any more.
const CONTROLLER_STOPS: Duration = Duration::from_secs(45);
/// So many objects are named.
const NAMED: usize = 10;

/// Why something is left.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// Objects that do not go.
    #[error(
        "not all that runs for Previews has ended in time:{}\nEnd it by hand, or leave it: `helm uninstall --no-hooks`",
        listed(.0)
    )]
    Left(Vec<Leftover>),
    /// No answer, or no.
    #[error("the API server does not let it end what runs for Previews: {0}")]
    Api(#[from] kube::Error),
}

/// An object that is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    what: String,
    why: String,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Ends all of it.
///
/// # Errors
///
/// When something is left after `patience`.
pub async fn run(client: Client, namespace: &str, patience: Duration) -> Result<(), UninstallError> {
    let until = Instant::now() + patience;
    let mut work = Work { client, ended: HashMap::new() };
    let mut stopped = false;
    loop {
        let begun = Instant::now();
        let left = async {
            if !stopped {
                work.stop_controller(namespace, (begun + CONTROLLER_STOPS).min(until)).await?;
                stopped = true;
            }
            work.round().await
        };
        match left.await {
            Ok(left) if left.is_empty() => break,
            Ok(left) if Instant::now() >= until => return Err(UninstallError::Left(left)),
            Err(error) if Instant::now() >= until => return Err(error.into()),
            // It may be back in a moment.
            Err(error) => tracing::warn!(%error, "cannot reach what is to end; trying again"),
            Ok(left) => tracing::debug!(count = left.len(), "waiting"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let leases: Api<Lease> = Api::namespaced(work.client.clone(), namespace);
    gone(leases.delete(CONTROLLER, &DeleteParams::default()).await)?;
    let pods: Api<Pod> = Api::namespaced(work.client.clone(), namespace);
    gone(pods.delete(CHECK, &DeleteParams::default()).await)?;
    tracing::info!(previews = work.ended.len(), "all that ran for Previews has ended");
    Ok(())
}

struct Work {
    client: Client,
    /// How often each Preview was deleted, by its namespace and name.
    ended: HashMap<String, u32>,
}

impl Work {
    async fn stop_controller(&self, namespace: &str, until: Instant) -> kube::Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let none = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
        gone(deployments.patch_scale(CONTROLLER, &PatchParams::default(), &none).await)?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let component = format!("{}={CONTROLLER}", names::COMPONENT_LABEL);
        while !pods.list_metadata(&ListParams::default().labels(&component)).await?.items.is_empty() {
            if Instant::now() >= until {
                tracing::warn!("pods of the controller do not go; going on without");
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tracing::info!("the controller is stopped");
        Ok(())
    }

    /// Deletes what is there; returns what was not gone before.
    async fn round(&mut self) -> kube::Result<Vec<Leftover>> {
        let mut left = Vec::new();
        let routes: Api<NodeRoutes> = Api::all(self.client.clone());
        for object in listed_of(&routes, &ListParams::default()).await? {
            gone(routes.delete(&object.name_any(), &DeleteParams::default()).await)?;
            left.push(leftover("NodeRoutes", &object.metadata, 0));
        }
        for object in listed_of::<Preview>(&Api::all(self.client.clone()), &ListParams::default()).await? {
            let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
            let times = self.ended.entry(format!("{namespace}/{name}")).or_default();
            if object.metadata.deletion_timestamp.is_none() {
                *times += 1;
                let previews: Api<Preview> = Api::namespaced(self.client.clone(), &namespace);
                gone(previews.delete(&name, &DeleteParams::background()).await)?;
                tracing::info!(preview = format!("{namespace}/{name}"), "ended");
            }
            left.push(leftover("Preview", &object.metadata, *times));
        }
        let ours = ListParams::default().labels(names::PREVIEW_LABEL);
        left.extend(self.owned::<Deployment>(&ours).await?);
        left.extend(self.owned::<Service>(&ours).await?);
        left.extend(self.owned::<NetworkPolicy>(&ours).await?);
        Ok(left)
    }

    /// What goes with its Preview and has not gone yet.
    async fn owned<K>(&self, ours: &ListParams) -> kube::Result<Vec<Leftover>>
    where
        K: Resource<DynamicType = ()> + Clone + fmt::Debug + serde::de::DeserializeOwned,
    {
        let all = listed_of::<K>(&Api::all(self.client.clone()), ours).await?;
        let owned = all.iter().filter(|object| is_owned(&object.metadata));
        Ok(owned.map(|object| leftover(&K::kind(&()), &object.metadata, 0)).collect())
    }
}

/// All of a kind; none if the kind has gone.
async fn listed_of<K>(api: &Api<K>, params: &ListParams) -> kube::Result<Vec<PartialObjectMeta<K>>>
where
    K: Resource<DynamicType = ()> + Clone + fmt::Debug + serde::de::DeserializeOwned,
{
    match api.list_metadata(params).await {
        Ok(list) => Ok(list.items),
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What has gone already is as it should be.
fn gone<T>(done: kube::Result<T>) -> kube::Result<()> {
    match done {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether it goes with its Preview.
fn is_owned(meta: &ObjectMeta) -> bool {
    let mut owners = meta.owner_references.iter().flatten();
    owners.any(|owner| owner.kind == "Preview" && owner.api_version.starts_with("byway.dev/"))
}

fn leftover(kind: &str, meta: &ObjectMeta, deleted: u32) -> Leftover {
    let finalizers = meta.finalizers.iter().flatten().map(String::as_str).collect::<Vec<_>>();
    let why = match meta.deletion_timestamp {
        Some(_) if !finalizers.is_empty() => format!("waits for its finalizers ({})", finalizers.join(", ")),
        _ if deleted > 1 => format!("deleted {deleted} times, and made again: by a GitOps tool?"),
        Some(_) => "is being deleted".to_owned(),
        None if is_owned(meta) => "waits for the garbage collector".to_owned(),
        None => "was there a moment ago".to_owned(),
    };
    let (namespace, name) =
        (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let slash = if namespace.is_empty() { "" } else { "/" };
    Leftover { what: format!("{kind} {namespace}{slash}{name}"), why }
}

fn listed(left: &[Leftover]) -> String {
    let mut text: String = left.iter().take(NAMED).map(|one| format!("\n  {one}")).collect();
    if left.len() > NAMED {
        text += &format!("\n  and {} more", left.len() - NAMED);
    }
    text
}
