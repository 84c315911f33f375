//! Brings a Preview's clone to what its target and spec make of it: reads the target, builds, applies what differs.

use std::collections::BTreeMap;

use byway_api::conditions::reason;
use byway_api::{Preview, TargetKind, names};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::Value;

mod child;
mod wish;

use self::child::{apply, delete};
use super::WriteError;
use crate::clone::{Children, Found, Refusal, Source, Surroundings, of_target, source_of, targetless};
use crate::rows::Name;
use crate::watch::{create_failure, rollout_resource};

pub use wish::{Around, Wish};

/// What became of a clone.
#[derive(Debug)]
pub enum CloneOutcome {
    /// It is as wanted.
    Applied(Applied),
    /// It cannot be made: a reason and what to do.
    Refused {
        /// [`Wish::version`].
        version: u64,
        /// `metadata.generation` of the Preview that it is said of.
        generation: Option<i64>,
        /// A stable code.
        reason: String,
        /// A sentence.
        message: String,
    },
    /// There is none, as wanted.
    Absent {
        /// [`Wish::version`].
        version: u64,
    },
}

/// A clone that is as wanted.
#[derive(Debug)]
pub struct Applied {
    /// [`Wish::version`].
    pub version: u64,
    /// `metadata.generation` of the Preview that it was made from.
    pub generation: Option<i64>,
    /// Name of the Deployment.
    pub deployment: String,
    /// Name of the Service of a Preview without a target.
    pub service: Option<String>,
    /// `metadata.generation` of the Deployment.
    pub settled: Option<i64>,
    /// Of the pods that run the newest template.
    pub revision: Name,
    /// The ports to steer.
    pub ports: Vec<u16>,
    /// Reasons and sentences.
    pub warnings: Vec<(String, String)>,
}

impl CloneOutcome {
    /// The wish for `preview` that could not be fulfilled for now.
    pub fn failed(preview: &Preview, error: &WriteError) -> Self {
        let message = format!("the clone cannot be made for now: {error}");
        // No wish has this version, so it is tried again.
        let generation = preview.metadata.generation;
        Self::Refused { version: 0, generation, reason: reason::API_ERROR.to_owned(), message }
    }

    /// Of the wish that it answers.
    pub fn version(&self) -> u64 {
        match self {
            Self::Applied(applied) => applied.version,
            Self::Refused { version, .. } | Self::Absent { version } => *version,
        }
    }

    /// `metadata.generation` of the Preview that it answers.
    pub fn generation(&self) -> Option<i64> {
        match self {
            Self::Applied(applied) => applied.generation,
            Self::Refused { generation, .. } => *generation,
            Self::Absent { .. } => None,
        }
    }

    /// The ports to steer.
    pub fn ports(&self) -> &[u16] {
        self.applied().map_or(&[], |it| &it.ports)
    }

    /// Of the pods that run the newest template.
    pub fn revision(&self) -> Option<&str> {
        self.applied().map(|it| &*it.revision)
    }

    /// Name of the Deployment.
    pub fn deployment(&self) -> Option<&str> {
        self.applied().map(|it| it.deployment.as_str())
    }

    /// Name of the Service.
    pub fn service(&self) -> Option<&str> {
        self.applied().and_then(|it| it.service.as_deref())
    }

    /// Reasons and sentences.
    pub fn warnings(&self) -> &[(String, String)] {
        self.applied().map_or(&[], |it| &it.warnings)
    }

    /// `metadata.generation` of the Deployment.
    pub fn settled(&self) -> Option<i64> {
        self.applied().and_then(|it| it.settled)
    }

    /// Why there is none.
    pub fn refusal(&self) -> Option<(&str, &str)> {
        match self {
            Self::Refused { reason, message, .. } => Some((reason, message)),
            Self::Applied(_) | Self::Absent { .. } => None,
        }
    }

    fn applied(&self) -> Option<&Applied> {
        if let Self::Applied(applied) = self { Some(applied) } else { None }
    }
}

/// What ends an attempt.
enum Stop {
    /// Try again.
    Write(WriteError),
    /// Nothing helps until something changes.
    No(String, String),
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        match error {
            // What the API server does not take now it will not take later, unless it was busy.
            kube::Error::Api(status) if matches!(status.code, 400 | 403 | 413 | 422) => {
                let (code, advice) = create_failure(&status.message);
                let code = if code == reason::POD_CREATE_FAILED { reason::CLONE_REJECTED } else { code };
                Self::No(code.to_owned(), format!("{}; {advice}", status.message))
            }
            error => Self::Write(error.into()),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::No(refusal.code().to_owned(), refusal.to_string())
    }
}

/// Fulfils a wish.
///
/// # Errors
///
/// When the API server cannot be asked, or an object changed meanwhile: to be tried again.
pub async fn bring(client: Client, wish: Wish) -> Result<CloneOutcome, WriteError> {
    let version = wish.version;
    let done = if wish.present { present(&client, &wish).await } else { absent(&client, &wish).await };
    match done {
        Ok(outcome) => Ok(outcome),
        Err(Stop::No(reason, message)) => {
            let generation = wish.preview.metadata.generation;
            Ok(CloneOutcome::Refused { version, generation, reason, message })
        }
        Err(Stop::Write(error)) => Err(error),
    }
}

async fn present(client: &Client, wish: &Wish) -> Result<CloneOutcome, Stop> {
    let preview = &wish.preview;
    if let Err(problem) = preview.spec.check(&wish.key, wish.allow_keyless) {
        return Err(Stop::No(problem.code().to_owned(), problem.to_string()));
    }
    let children = build(client, wish).await?;
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
    let settled = apply(client, wish, &children.deployment, |there| wish.trusts(there.meta())).await?;
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
            let object = read(client, namespace, other.kind, &other.name).await?;
            other.resolve(&object)?
        }
    };
    let claims = claims(client, namespace, &source).await?;
    let around = Surroundings {
        services: &wish.around.services,
        selectors: &wish.around.selectors,
        network_policies: &wish.around.policies,
        agents_namespace: &wish.agents_namespace,
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
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let found = api.get_opt(name).await.map_err(|error| Stop::Write(error.into()))?;
    let object = found.ok_or_else(|| {
        let message = format!("there is no {kind} {name} in namespace {namespace}");
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

async fn absent(client: &Client, wish: &Wish) -> Result<CloneOutcome, Stop> {
    let uid = wish.preview.metadata.uid.as_deref().unwrap_or_default();
    let name = names::child_name(&wish.name.name, uid);
    delete::<NetworkPolicy>(client, &wish.name.namespace, &name, &wish.preview).await?;
    // The Service first: while the Deployment is there, the rest is looked for.
    delete::<Service>(client, &wish.name.namespace, &name, &wish.preview).await?;
    delete::<Deployment>(client, &wish.name.namespace, &name, &wish.preview).await?;
    Ok(CloneOutcome::Absent { version: wish.version })
}
