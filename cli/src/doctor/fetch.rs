//! Asks the API server for all that the checks look at.

use byway_api::{NodeRoutes, Preview, PreviewTarget, TargetKind, names};
use byway_plan::clone::{Found, source_of};
use byway_plan::rows::{SelectorRow, TemplateOf};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    coordination::v1::Lease,
    core::v1::{Namespace, Pod},
    policy::v1::PodDisruptionBudget,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, Client, Error, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::facts::{Facts, Look, Right, TargetFacts};
use crate::args::DoctorArgs;
use crate::client::{Cluster, chain, failure};
use crate::exit::{Exit, Failure};

/// Asks for everything. Only a server that does not answer at all is an error, and a Preview that is not there.
pub(super) async fn fetch(cluster: &Cluster, args: &DoctorArgs) -> Result<Facts, Failure> {
    let client = &cluster.client;
    let namespace = &cluster.namespace;
    // The one thing that everybody may ask.
    let version = client.apiserver_version().await.map_err(|error| failure(&error))?;
    let number = |text: &str| text.trim_end_matches('+').parse::<u32>().ok();
    let version = number(&version.major).zip(number(&version.minor));
    let meant = meant(cluster, args).await?;

    let all = ListParams::default();
    let byway = ListParams::default().labels(&format!(
        "{} in ({}, byway-controller)",
        names::COMPONENT_LABEL,
        names::AGENT_COMPONENT
    ));
    let parts = list::<Pod>(Api::all(client.clone()), &byway).await;
    let home = parts.seen().and_then(|parts| parts.first()).and_then(kube::ResourceExt::namespace);
    let home = home.unwrap_or_else(|| "byway".to_owned());
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    let crds = both(get(&crds, "previews.byway.dev").await, get(&crds, "noderoutes.byway.dev").await);
    let target = match meant {
        Some((target, preview)) => Some(of_target(client, namespace, target, preview).await),
        None => None,
    };
    Ok(Facts {
        now: Timestamp::now(),
        namespace: namespace.clone(),
        version: version
            .map_or_else(|| Look::Hidden("the API server's version is no number".to_owned()), Look::Seen),
        crds,
        nodes: list(Api::all(client.clone()), &all).await,
        parts,
        lease: get::<Lease>(&Api::namespaced(client.clone(), &home), "byway-controller").await,
        routes: list::<NodeRoutes>(Api::all(client.clone()), &all).await,
        home: get::<Namespace>(&Api::all(client.clone()), &home).await,
        home_policies: list(Api::namespaced(client.clone(), &home), &all).await,
        space: get::<Namespace>(&Api::all(client.clone()), namespace).await,
        quotas: list(Api::namespaced(client.clone(), namespace), &all).await,
        webhooks: list(Api::all(client.clone()), &all).await,
        runtimes: list(Api::all(client.clone()), &all).await,
        groups: groups(client).await,
        rights: rights(client, namespace, target.as_ref().map(|it| &it.target)).await,
        target,
    })
}

/// The target that is meant, and a Preview of it.
async fn meant(cluster: &Cluster, args: &DoctorArgs) -> Result<Option<(PreviewTarget, Preview)>, Failure> {
    if let Some(name) = &args.preview {
        let preview =
            cluster.previews(&cluster.namespace).get(name).await.map_err(|error| failure(&error))?;
        let target = preview.spec.target.clone();
        return Ok(target.map(|target| (target, preview)));
    }
    let Some(target) = &args.target else { return Ok(None) };
    let preview = json!({
        "apiVersion": "byway.dev/v1alpha1",
        "kind": "Preview",
        "metadata": { "name": "doctor", "namespace": cluster.namespace, "uid": "doctor" },
        "spec": { "key": "doctor", "target": target, "image": "doctor" },
    });
    let preview = serde_json::from_value(preview)
        .map_err(|error| Failure::new(Exit::Failed, "Failed", error.to_string()))?;
    Ok(Some((target.clone(), preview)))
}

async fn of_target(client: &Client, namespace: &str, target: PreviewTarget, preview: Preview) -> TargetFacts {
    let object = object(client, namespace, target.kind, &target.name).await;
    let source = object.seen().and_then(Option::as_ref).map(|object| source_of(target.kind, object));
    let template = match source {
        Some(Ok(Found::WorkloadRef(elsewhere))) => match elsewhere.template {
            TemplateOf::Workload(kind, name) => self::object(client, namespace, kind, &name).await,
            TemplateOf::PodTemplate(name) => dynamic(client, namespace, POD_TEMPLATE, &name).await,
        },
        _ => Look::Seen(None),
    };
    let all = ListParams::default();
    TargetFacts {
        target,
        preview,
        object,
        template,
        pods: list(Api::namespaced(client.clone(), namespace), &all).await,
        services: list(Api::namespaced(client.clone(), namespace), &all).await,
        policies: list(Api::namespaced(client.clone(), namespace), &all).await,
        claims: list(Api::namespaced(client.clone(), namespace), &all).await,
        selectors: selectors(client, namespace).await,
    }
}

/// Group, version, kind and plural.
const POD_TEMPLATE: (&str, &str, &str, &str) = ("", "v1", "PodTemplate", "podtemplates");

/// Group, version and plural of a kind.
const fn resource(kind: TargetKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        TargetKind::Deployment => ("apps", "v1", "deployments"),
        TargetKind::StatefulSet => ("apps", "v1", "statefulsets"),
        TargetKind::DaemonSet => ("apps", "v1", "daemonsets"),
        TargetKind::ReplicaSet => ("apps", "v1", "replicasets"),
        TargetKind::Pod => ("", "v1", "pods"),
        TargetKind::Rollout => ("argoproj.io", "v1alpha1", "rollouts"),
    }
}

async fn object(client: &Client, namespace: &str, kind: TargetKind, name: &str) -> Look<Option<Value>> {
    let (group, version, plural) = resource(kind);
    dynamic(client, namespace, (group, version, kind.as_str(), plural), name).await
}

async fn dynamic(
    client: &Client,
    namespace: &str,
    (group, version, kind, plural): (&str, &str, &str, &str),
    name: &str,
) -> Look<Option<Value>> {
    let of = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &of);
    match api.get_opt(name).await {
        Ok(object) => Look::Seen(object.and_then(|object| serde_json::to_value(object).ok())),
        Err(error) => Look::Hidden(why(&error, "get", plural)),
    }
}

/// What the controller looks at, but for ReplicaSets: theirs are their Deployments'.
async fn selectors(client: &Client, namespace: &str) -> Look<Vec<SelectorRow>> {
    let all = ListParams::default();
    let row = |kind: &str, name: String, selector: Option<LabelSelector>| SelectorRow {
        kind: kind.to_owned(),
        name,
        selector: selector.unwrap_or_default(),
    };
    let deployments = list::<Deployment>(Api::namespaced(client.clone(), namespace), &all).await;
    let sets = list::<StatefulSet>(Api::namespaced(client.clone(), namespace), &all).await;
    let daemons = list::<DaemonSet>(Api::namespaced(client.clone(), namespace), &all).await;
    let budgets = list::<PodDisruptionBudget>(Api::namespaced(client.clone(), namespace), &all).await;
    let mut rows = Vec::new();
    match (deployments, sets, daemons, budgets) {
        (Look::Seen(deployments), Look::Seen(sets), Look::Seen(daemons), Look::Seen(budgets)) => {
            let is_previews = |labels: &std::collections::BTreeMap<String, String>| {
                labels.contains_key(names::PREVIEW_LABEL)
            };
            rows.extend(
                deployments
                    .into_iter()
                    .filter(|it| !is_previews(it.labels()))
                    .map(|it| row("Deployment", it.name_any(), it.spec.map(|spec| spec.selector))),
            );
            rows.extend(
                sets.into_iter()
                    .map(|it| row("StatefulSet", it.name_any(), it.spec.map(|spec| spec.selector))),
            );
            rows.extend(
                daemons
                    .into_iter()
                    .map(|it| row("DaemonSet", it.name_any(), it.spec.map(|spec| spec.selector))),
            );
            // A budget without a selector selects no pod.
            rows.extend(budgets.into_iter().filter_map(|it| {
                let name = it.name_any();
                Some(row("PodDisruptionBudget", name, Some(it.spec?.selector?)))
            }));
            Look::Seen(rows)
        }
        (Look::Hidden(why), ..)
        | (_, Look::Hidden(why), ..)
        | (_, _, Look::Hidden(why), _)
        | (.., Look::Hidden(why)) => Look::Hidden(why),
    }
}

async fn rights(client: &Client, namespace: &str, target: Option<&PreviewTarget>) -> Vec<Right> {
    let mut asked = vec![
        ("create", "byway.dev", "previews", "", "start", true),
        ("create", "", "pods", "", "start", true),
        ("get", "byway.dev", "previews", "", "status", false),
        ("patch", "byway.dev", "previews", "", "start again, extend", false),
        ("delete", "byway.dev", "previews", "", "stop", false),
        ("list", "", "pods", "", "logs", false),
        ("get", "", "pods", "log", "logs", false),
    ];
    if let Some(target) = target {
        let (group, _, plural) = resource(target.kind);
        asked.push(("get", group, plural, "", "start", true));
    }
    let mut rights = Vec::new();
    for (verb, group, resource, subresource, needed_for, required) in asked {
        let named = target.filter(|_| verb == "get" && subresource.is_empty() && group != "byway.dev");
        let attributes = ResourceAttributes {
            namespace: Some(namespace.to_owned()),
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: Some(subresource.to_owned()).filter(|it| !it.is_empty()),
            name: named.map(|target| target.name.clone()),
            ..ResourceAttributes::default()
        };
        let spec =
            SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let api = Api::<SelfSubjectAccessReview>::all(client.clone());
        let allowed = match api.create(&PostParams::default(), &review).await {
            Ok(review) => Look::Seen(review.status.is_some_and(|status| status.allowed)),
            Err(error) => Look::Hidden(why(&error, "create", "selfsubjectaccessreviews")),
        };
        let dot = if group.is_empty() { String::new() } else { format!(".{group}") };
        let slash = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
        rights.push(Right { what: format!("{verb} {resource}{dot}{slash}"), needed_for, required, allowed });
    }
    rights
}

async fn groups(client: &Client) -> Look<Vec<String>> {
    match client.list_api_groups().await {
        Ok(groups) => Look::Seen(groups.groups.into_iter().map(|group| group.name).collect()),
        Err(error) => Look::Hidden(chain(&error)),
    }
}

async fn list<K>(api: Api<K>, params: &ListParams) -> Look<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.list(params).await {
        Ok(list) => Look::Seen(list.items),
        // Not served: there is none.
        Err(Error::Api(status)) if status.code == 404 => Look::Seen(Vec::new()),
        Err(error) => Look::Hidden(why(&error, "list", &K::plural(&()))),
    }
}

async fn get<K>(api: &Api<K>, name: &str) -> Look<Option<K>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.get_opt(name).await {
        Ok(object) => Look::Seen(object),
        Err(error) => Look::Hidden(why(&error, "get", &K::plural(&()))),
    }
}

fn both<T>(one: Look<Option<T>>, other: Look<Option<T>>) -> Look<Vec<T>> {
    match (one, other) {
        (Look::Seen(one), Look::Seen(other)) => Look::Seen(one.into_iter().chain(other).collect()),
        (Look::Hidden(why), _) | (_, Look::Hidden(why)) => Look::Hidden(why),
    }
}

fn why(error: &Error, verb: &str, plural: &str) -> String {
    match error {
        Error::Api(status) if status.code == 403 => format!("needs the permission to {verb} {plural}"),
        other => format!("cannot {verb} {plural}: {}", chain(other)),
    }
}
