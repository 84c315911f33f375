//! Objects by their kinds and names, as JSON: what tests write and look at.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use byway_tests::Cluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{
    DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, ValidationDirective,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config, Error};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::runtime::block;

/// Who writes in tests.
const MANAGER: &str = "test";

/// An API server, asked as administrator.
#[derive(Clone)]
pub struct Kube {
    pub(crate) client: Client,
}

/// Kinds that tests name: with their group and version, plural where it does not follow from the kind, and whether they
/// are in namespaces.
const KINDS: &[(&str, &str, &str, bool)] = &[
    ("ConfigMap", "v1", "configmaps", true),
    ("Event", "events.k8s.io/v1", "events", true),
    ("Namespace", "v1", "namespaces", false),
    ("Node", "v1", "nodes", false),
    ("Pod", "v1", "pods", true),
    ("PodTemplate", "v1", "podtemplates", true),
    ("Secret", "v1", "secrets", true),
    ("Service", "v1", "services", true),
    ("Endpoints", "v1", "endpoints", true),
    ("ServiceAccount", "v1", "serviceaccounts", true),
    ("ResourceQuota", "v1", "resourcequotas", true),
    ("LimitRange", "v1", "limitranges", true),
    ("PersistentVolumeClaim", "v1", "persistentvolumeclaims", true),
    ("Deployment", "apps/v1", "deployments", true),
    ("StatefulSet", "apps/v1", "statefulsets", true),
    ("DaemonSet", "apps/v1", "daemonsets", true),
    ("ReplicaSet", "apps/v1", "replicasets", true),
    ("Rollout", "argoproj.io/v1alpha1", "rollouts", true),
    ("Lease", "coordination.k8s.io/v1", "leases", true),
    ("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", true),
    ("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets", true),
    ("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", false),
    ("ValidatingAdmissionPolicy", "admissionregistration.k8s.io/v1", "validatingadmissionpolicies", false),
    (
        "ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicybindings",
        false,
    ),
    (
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
        false,
    ),
    ("Preview", "byway.dev/v1alpha1", "previews", true),
    ("NodeRoutes", "byway.dev/v1alpha1", "noderoutes", false),
];

impl Kube {
    /// Of a cluster.
    ///
    /// # Errors
    ///
    /// When its kubeconfig cannot be used.
    pub fn of(cluster: &Cluster) -> Result<Self> {
        Self::from_kubeconfig(cluster.kubeconfig())
    }

    /// Of a kubeconfig file.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub fn from_kubeconfig(file: &Path) -> Result<Self> {
        block(async {
            let kubeconfig = Kubeconfig::read_from(file)?;
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
            Ok(Self { client: Client::try_from(config)? })
        })
    }

    /// Installs the CRDs of the chart, and waits until they are served.
    ///
    /// # Errors
    ///
    /// When the API server does not take them.
    pub fn install_crds(&self) -> Result<()> {
        const CRDS: [&str; 2] = [
            include_str!("../../../charts/byway/files/crds/previews.yaml"),
            include_str!("../../../charts/byway/files/crds/noderoutes.yaml"),
        ];
        CRDS.iter().try_for_each(|crd| self.install_crd(crd))
    }

    /// Installs one CRD, in YAML, and waits until it is served.
    ///
    /// # Errors
    ///
    /// When the API server does not take it, or does not serve it after 30 seconds.
    pub fn install_crd(&self, yaml: &str) -> Result<()> {
        let crd = self.apply_yaml(yaml)?.pop().context("no CRD in it")?;
        let name = crd["metadata"]["name"].as_str().unwrap_or_default();
        let is_served = || {
            let crd = self.get("CustomResourceDefinition", "", name).ok().flatten()?;
            let mut conditions = crd["status"]["conditions"].as_array()?.iter();
            conditions.any(|it| it["type"] == "Established" && it["status"] == "True").then_some(())
        };
        let patience = std::time::Duration::from_secs(30);
        byway_tests::eventually(patience, is_served).with_context(|| format!("{name} is not served"))
    }

    /// Makes a namespace whose name starts so, and waits for its service account: before that, no pod is admitted.
    ///
    /// # Errors
    ///
    /// When there is no such account within 30 seconds.
    pub fn namespace(&self, prefix: &str, labels: &Value) -> Result<String> {
        let namespace = self.create(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "generateName": format!("{prefix}-"), "labels": labels },
        }))?;
        let name = namespace["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.wait_for_account(&name)?;
        Ok(name)
    }

    /// Waits for the service account that pods of a namespace need.
    ///
    /// # Errors
    ///
    /// When there is none within 30 seconds.
    pub fn wait_for_account(&self, namespace: &str) -> Result<()> {
        let account = || self.get("ServiceAccount", namespace, "default").ok().flatten().map(drop);
        byway_tests::eventually(std::time::Duration::from_secs(30), account)
            .with_context(|| format!("namespace {namespace} gets no service account"))
    }

    /// One object; none if it is not there.
    ///
    /// # Errors
    ///
    /// When the API server does not answer.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        let api = self.api(kind, namespace)?;
        let found = block(api.get_opt(name))?;
        Ok(found.map(serde_json::to_value).transpose()?)
    }

    /// Objects of a namespace, or of all if that is empty, with these labels.
    ///
    /// # Errors
    ///
    /// When the API server does not answer.
    pub fn list(&self, kind: &str, namespace: &str, labels: &str) -> Result<Vec<Value>> {
        let api = self.api(kind, namespace)?;
        let list = block(api.list(&ListParams::default().labels(labels)))?;
        Ok(list.items.into_iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
    }

    /// Applies an object on the server's side, with force; unknown fields are refused.
    ///
    /// # Errors
    ///
    /// When the API server does not take it: [`said`] tells why.
    pub fn apply(&self, object: &Value) -> Result<Value> {
        let (api, name) = self.api_of(object)?;
        let params = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply(MANAGER)
        };
        let done = block(api.patch(&name, &params.force(), &Patch::Apply(object)))?;
        Ok(serde_json::to_value(done)?)
    }

    /// Applies all objects of a YAML text.
    ///
    /// # Errors
    ///
    /// As [`Kube::apply`].
    pub fn apply_yaml(&self, yaml: &str) -> Result<Vec<Value>> {
        let documents = serde_yaml_ng::Deserializer::from_str(yaml);
        documents.map(|document| self.apply(&Value::deserialize(document)?)).collect()
    }

    /// Creates an object.
    ///
    /// # Errors
    ///
    /// When the API server does not take it: [`said`] tells why.
    pub fn create(&self, object: &Value) -> Result<Value> {
        let (api, _) = self.api_of(object)?;
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        Ok(serde_json::to_value(block(api.create(&params, &object))?)?)
    }

    /// Merges a patch into an object.
    ///
    /// # Errors
    ///
    /// When the API server does not take it.
    pub fn merge(&self, kind: &str, namespace: &str, name: &str, patch: &Value) -> Result<Value> {
        let api = self.api(kind, namespace)?;
        let done = block(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)))?;
        Ok(serde_json::to_value(done)?)
    }

    /// Merges a patch into the status of an object.
    ///
    /// # Errors
    ///
    /// When the API server does not take it.
    pub fn merge_status(&self, kind: &str, namespace: &str, name: &str, patch: &Value) -> Result<()> {
        let api = self.api(kind, namespace)?;
        block(api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)))?;
        Ok(())
    }

    /// Deletes an object, and in the background what belongs to it. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// When the API server does not take it.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result<()> {
        let api = self.api(kind, namespace)?;
        match block(api.delete(name, &DeleteParams::background())) {
            Err(Error::Api(status)) if status.code == 404 => Ok(()),
            done => Ok(done.map(drop)?),
        }
    }

    fn api(&self, kind: &str, namespace: &str) -> Result<Api<DynamicObject>> {
        let Some((_, version, plural, namespaced)) = KINDS.iter().find(|it| it.0 == kind) else {
            bail!("kind {kind} is not in the list of kinds: add it");
        };
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Ok(if *namespaced && !namespace.is_empty() {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        })
    }

    fn api_of(&self, object: &Value) -> Result<(Api<DynamicObject>, String)> {
        let kind = object["kind"].as_str().context("an object without kind")?;
        let meta: ObjectMeta = serde_json::from_value(object["metadata"].clone())?;
        let api = self.api(kind, meta.namespace.as_deref().unwrap_or_default())?;
        Ok((api, meta.name.unwrap_or_default()))
    }
}

/// The API server's own words in an error; empty if it is not from there.
#[must_use]
pub fn said(error: &anyhow::Error) -> String {
    match error.downcast_ref() {
        Some(Error::Api(status)) => status.message.clone(),
        _ => String::new(),
    }
}
