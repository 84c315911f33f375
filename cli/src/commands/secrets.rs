//! The Secret with the files of a Preview that not everybody may read: made with the rights of who starts the preview, and
//! the Preview's own, so that it goes with it.

use std::collections::{BTreeMap, BTreeSet};

use byway_api::{Preview, names};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource as _, ResourceExt as _};

use crate::client::{FIELD_MANAGER, failure};
use crate::exit::Failure;
use crate::files::Secrets;

/// Secrets of a namespace.
pub(super) struct SecretApi(Api<Secret>);

impl SecretApi {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// Asks whether it could be made.
    pub(super) async fn try_out(&self, secrets: &Secrets, preview: &str) -> Result<(), Failure> {
        self.apply(secrets, preview, ObjectMeta::default(), params().dry_run()).await
    }

    /// Makes it.
    pub(super) async fn keep(&self, secrets: &Secrets, preview: &Preview) -> Result<(), Failure> {
        let name = preview.name_any();
        let meta = ObjectMeta {
            labels: Some(BTreeMap::from([(names::PREVIEW_LABEL.to_owned(), name.clone())])),
            owner_references: preview.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        };
        self.apply(secrets, &name, meta, params()).await
    }

    /// Takes away those that the Preview was started with `before`, once no pod of that start is left that could want them:
    /// the ones that are the Preview's own, and that it does not name any more. One that stays goes with the Preview.
    pub(super) async fn tidy(&self, preview: &Preview, before: &Preview) -> Result<(), Failure> {
        let named = named(preview);
        for name in self::named(before).difference(&named) {
            let found = self.0.get_metadata_opt(name).await.map_err(|error| failure(&error))?;
            let Some(meta) = found.map(|it| it.metadata).filter(|it| is_of(it, preview)) else { continue };
            // Not another one that has come in its place.
            let only = Preconditions { uid: meta.uid, resource_version: None };
            let params = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
            match self.0.delete(name, &params).await {
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
                done => drop(done.map_err(|error| failure(&error))?),
            }
        }
        Ok(())
    }

    async fn apply(
        &self,
        secrets: &Secrets,
        preview: &str,
        meta: ObjectMeta,
        params: PatchParams,
    ) -> Result<(), Failure> {
        if secrets.0.is_empty() {
            return Ok(());
        }
        let name = secrets.name(preview);
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.clone()), ..meta },
            data: Some(secrets.0.clone()),
            immutable: Some(true),
            ..Secret::default()
        };
        let done = self.0.patch(&name, &params, &Patch::Apply(&secret)).await;
        done.map(drop).map_err(|error| failure(&error))
    }
}

/// Secrets that a Preview's files are entries of.
fn named(preview: &Preview) -> BTreeSet<&str> {
    preview.spec.files.iter().filter_map(|it| Some(it.secret_key_ref.as_ref()?.name.as_str())).collect()
}

fn is_of(meta: &ObjectMeta, preview: &Preview) -> bool {
    let uid = preview.uid();
    meta.owner_references.iter().flatten().any(|it| Some(&it.uid) == uid.as_ref())
}

fn params() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER)
}
