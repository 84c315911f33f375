//! The Secret with the files of a Preview that not everybody may read: made with the rights of who starts the preview, and
//! the Preview's own, so that it goes with it.

use std::collections::BTreeMap;

use byway_api::{Preview, names};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Resource as _, ResourceExt as _};

use crate::client::{FIELD_MANAGER, failure};
use crate::exit::Failure;
use crate::files::{Secrets, prefix};

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

    /// Makes it, and takes away those that the Preview was started with before.
    pub(super) async fn keep(
        &self,
        secrets: &Secrets,
        preview: &Preview,
        before: Option<&Preview>,
    ) -> Result<(), Failure> {
        let name = preview.name_any();
        let meta = ObjectMeta {
            labels: Some(BTreeMap::from([(names::PREVIEW_LABEL.to_owned(), name.clone())])),
            owner_references: preview.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        };
        self.apply(secrets, &name, meta, params()).await?;
        let files = before.iter().flat_map(|it| &it.spec.files);
        let mut stale: Vec<&str> =
            files.filter_map(|it| Some(it.secret_key_ref.as_ref()?.name.as_str())).collect();
        // What the Preview still names stays, whoever made it.
        let is_named = |it: &str| {
            preview.spec.files.iter().filter_map(|file| file.secret_key_ref.as_ref()).any(|of| of.name == it)
        };
        stale.retain(|it| it.starts_with(&prefix(&name)) && !is_named(it));
        stale.dedup();
        for name in stale {
            match self.0.delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
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

fn params() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER)
}
