//! Brings a Preview's clone to what its target and spec make of it: reads the target, builds, applies what differs.

use std::collections::{BTreeMap, BTreeSet};

use byway_api::conditions::reason;
use byway_api::{TargetKind, names};
use byway_plan::clone::{
    Children, Found, Source, Surroundings, files_name, of_target, source_of, targetless,
};
use byway_plan::outcome::{Applied, CloneOutcome};
use byway_plan::refused::{advice, create_failure};
use byway_plan::rows::TemplateOf;
use byway_plan::wish::Wish;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, PodTemplate, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::Value;

mod child;
mod stop;

use self::child::{Written, apply, delete, remove, there};
use self::stop::Stop;
use super::WriteError;
use crate::rollout::rollout_resource;

/// Fulfils a wish.
///
/// # Errors
///
/// When the API server cannot be asked, or an object changed meanwhile: to be tried again.
pub async fn bring(client: Client, wish: Wish) -> Result<CloneOutcome, WriteError> {
    let (version, generation) = (wish.version, wish.preview.metadata.generation);
    let done = if wish.present { present(&client, &wish).await } else { absent(&client, &wish).await };
    match done {
        Ok(outcome) => Ok(outcome),
        Err(Stop::No(reason, message)) => Ok(CloneOutcome::Refused { version, generation, reason, message }),
        Err(Stop::Rejected(said)) => {
            let (reason, message) = rejected(&said, wish.preview.spec.target.is_some());
            Ok(CloneOutcome::Refused { version, generation, reason, message })
        }
        Err(Stop::Write(error)) => Err(error),
    }
}

/// Of a Deployment or Service that the API server does not take: a reason, and its words with what to do.
fn rejected(said: &str, has_target: bool) -> (String, String) {
    let why = create_failure(said);
    let code = if why == reason::POD_CREATE_FAILED { reason::CLONE_REJECTED } else { why };
    (code.to_owned(), format!("{said}; {}", advice(why, has_target)))
}

async fn present(client: &Client, wish: &Wish) -> Result<CloneOutcome, Stop> {
    let preview = &wish.preview;
    if let Err(problem) = preview.spec.check(&wish.key, wish.allow_keyless) {
        return Err(Stop::No(problem.code().to_owned(), problem.to_string()));
    }
    let children = build(client, wish).await?;
    let children = if wish.is_asleep { children.asleep() } else { children };
    let revision = children.deployment.spec.as_ref().and_then(|spec| {
        spec.template.metadata.as_ref()?.labels.as_ref()?.get(names::REVISION_LABEL).cloned()
    });
    // The policy first: without it no keyed request gets through.
    match &children.network_policy {
        Some(policy) => {
            let is_untouched = |it: &NetworkPolicy| child::is_another(it, policy) || it.spec == policy.spec;
            apply(client, wish, policy, is_untouched).await?;
        }
        // Alone it would shut out everybody else.
        None if wish.network_policy.is_some() => {
            let name = children.deployment.name_any();
            delete::<NetworkPolicy>(client, &wish.name.namespace, &name, preview).await?;
        }
        None => {}
    }
    if let Some(files) = &children.files {
        // It never changes: one of this name is as it should be.
        apply(client, wish, files, |_| true).await?;
    }
    let Written { generation: settled, before } =
        apply(client, wish, &children.deployment, |there| wish.trusts(there.meta())).await?;
    let files = children.files.as_ref().map(ResourceExt::name_any);
    if let Some(before) =
        before.as_ref().and_then(files_of).filter(|before| Some(*before) != files.as_deref())
    {
        // Pods that have it mounted keep it.
        delete::<ConfigMap>(client, &wish.name.namespace, before, preview).await?;
    }
    if let Some(service) = &children.service {
        let is_untouched = |it: &Service| child::is_another(it, service) || child::serve_alike(it, service);
        apply(client, wish, service, is_untouched).await?;
    }
    Ok(CloneOutcome::Applied(Applied {
        version: wish.version,
        generation: preview.metadata.generation,
        deployment: children.deployment.name_any(),
        service: children.service.as_ref().map(ResourceExt::name_any),
        settled,
        revision: revision.unwrap_or_default().into(),
        ports: children.ports,
        warnings: children.warnings.into_iter().map(|it| (it.reason.to_owned(), it.message)).collect(),
    }))
}

async fn build(client: &Client, wish: &Wish) -> Result<Children, Stop> {
    let (preview, key) = (&*wish.preview, &wish.key);
    let Some(target) = &preview.spec.target else { return Ok(targetless(preview, key)?) };
    let namespace = &wish.name.namespace;
    let object = read(client, namespace, target.kind, &target.name).await?;
    let source = match source_of(target.kind, &object)? {
        Found::Source(source) => *source,
        Found::WorkloadRef(other) => {
            let object = match &other.template {
                TemplateOf::Workload(kind, name) => read(client, namespace, *kind, name).await?,
                TemplateOf::PodTemplate(name) => {
                    get(client, namespace, &ApiResource::erase::<PodTemplate>(&()), name).await?
                }
            };
            other.resolve(&object)?
        }
    };
    let claims = claims(client, namespace, &source).await?;
    let around = Surroundings {
        services: &wish.around.services,
        selectors: &wish.around.selectors,
        network_policies: &wish.around.policies,
        agents_namespace: &wish.agents_namespace,
        in_consul: wish.in_consul,
        claims: Some(&claims),
    };
    Ok(of_target(preview, key, &source, &around)?)
}

/// The target, as the API server gives it.
async fn read(client: &Client, namespace: &str, kind: TargetKind, name: &str) -> Result<Value, Stop> {
    let resource = match kind {
        TargetKind::Deployment => ApiResource::erase::<Deployment>(&()),
        TargetKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        TargetKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        TargetKind::ReplicaSet => ApiResource::erase::<ReplicaSet>(&()),
        TargetKind::Pod => ApiResource::erase::<Pod>(&()),
        TargetKind::Rollout => rollout_resource(),
    };
    get(client, namespace, &resource, name).await
}

async fn get(client: &Client, namespace: &str, resource: &ApiResource, name: &str) -> Result<Value, Stop> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, resource);
    let found = api.get_opt(name).await.map_err(|error| Stop::Write(error.into()))?;
    let object = found.ok_or_else(|| {
        let message = format!("there is no {} {name} in namespace {namespace}", resource.kind);
        Stop::No(reason::TARGET_NOT_FOUND.to_owned(), message)
    })?;
    Ok(serde_json::to_value(object).unwrap_or_default())
}

/// Access modes of the claims that the pod mounts.
async fn claims(
    client: &Client,
    namespace: &str,
    source: &Source,
) -> Result<BTreeMap<String, Vec<String>>, Stop> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let mut claims = BTreeMap::new();
    for volume in source.spec.volumes.iter().flatten() {
        let Some(claim) = &volume.persistent_volume_claim else { continue };
        let found = api.get_opt(&claim.claim_name).await.map_err(|error| Stop::Write(error.into()))?;
        let modes = found.and_then(|it| it.spec).and_then(|it| it.access_modes);
        if let Some(modes) = modes {
            claims.insert(claim.claim_name.clone(), modes);
        }
    }
    Ok(claims)
}

/// The ConfigMap with the files that stand in the Preview, as the Deployment has it.
fn files_of(deployment: &Deployment) -> Option<&str> {
    Some(deployment.annotations().get(names::FILES_ANNOTATION)?.as_str())
}

async fn absent(client: &Client, wish: &Wish) -> Result<CloneOutcome, Stop> {
    let uid = wish.preview.metadata.uid.as_deref().unwrap_or_default();
    let name = names::child_name(&wish.name.name, uid);
    delete::<NetworkPolicy>(client, &wish.name.namespace, &name, &wish.preview).await?;
    // The Service first: while the Deployment is there, the rest is looked for.
    delete::<Service>(client, &wish.name.namespace, &name, &wish.preview).await?;
    let deployment = there::<Deployment>(client, &wish.name.namespace, &name, &wish.preview).await?;
    // Also those that were made just now, and not mounted yet.
    let mounted = deployment.as_ref().and_then(files_of).map(str::to_owned);
    let files: BTreeSet<String> = mounted.into_iter().chain(files_name(&wish.preview, &wish.key)).collect();
    for files in files {
        delete::<ConfigMap>(client, &wish.name.namespace, &files, &wish.preview).await?;
    }
    if let Some(deployment) = deployment {
        remove(client, &wish.name.namespace, &deployment).await?;
    }
    Ok(CloneOutcome::Absent { version: wish.version })
}
