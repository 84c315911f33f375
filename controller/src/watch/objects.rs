//! From objects to rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use byway_api::{NodeRoutes, Preview, names};
use byway_plan::ports;
use byway_plan::rows::{
    ChildRow, Name, NamespaceRow, PodTemplateRow, PublishedRow, Ref, ServiceRow, TemplateOf, TemplateRow,
    WorkloadRow, fingerprint,
};
use byway_plan::status::in_order;
use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DeserializeGuard, PartialObjectMeta};

use super::{problem, slim};
use crate::args::Settings;

pub(super) fn of(meta: &ObjectMeta) -> Option<Ref> {
    Some(Ref::new(meta.namespace.as_deref()?, meta.name.as_deref()?))
}

pub(super) fn keyed_by_uid<V>(
    pod: &slim::Pod,
    row: impl Fn(&slim::Pod) -> Option<V>,
) -> Option<(Name, Option<V>)> {
    Some((pod.metadata.uid.as_deref()?.into(), row(pod)))
}

/// One Preview that cannot be read must not blind the controller for all others.
pub(super) fn preview(guarded: DeserializeGuard<Preview>) -> Option<(Ref, Option<Arc<Preview>>)> {
    match guarded.0 {
        Ok(mut preview) => {
            preview.metadata.managed_fields = None;
            if let Some(status) = &mut preview.status {
                in_order(&mut status.conditions);
            }
            Some((of(&preview.metadata)?, Some(Arc::new(preview))))
        }
        Err(error) => {
            let name = of(&error.metadata)?;
            tracing::error!(preview = %name, error = %error.error, "a Preview cannot be read; is this controller older than its CRD?");
            Some((name, None))
        }
    }
}

pub(super) fn child(object: &slim::Child) -> Option<(Ref, Option<ChildRow>)> {
    let meta = &object.metadata;
    let owner = meta.owner_references.iter().flatten().find(|it| it.kind == "Preview");
    let row = owner.and_then(|owner| {
        Some(ChildRow {
            uid: meta.uid.as_deref()?.into(),
            owner: owner.uid.as_str().into(),
            generation: meta.generation.unwrap_or_default(),
            failure: problem::replica_failure(&object.status.conditions),
        })
    });
    Some((of(meta)?, row))
}

pub(super) fn own_policy(object: &PartialObjectMeta<NetworkPolicy>) -> Option<(Ref, Option<i64>)> {
    Some((of(&object.metadata)?, Some(object.metadata.generation.unwrap_or_default())))
}

pub(super) fn node(object: PartialObjectMeta<Node>) -> Option<(Name, Option<Name>)> {
    let meta = object.metadata;
    Some((meta.name?.into(), meta.uid.map(Name::from)))
}

pub(super) fn node_routes(object: NodeRoutes) -> Option<(Name, Option<PublishedRow>)> {
    let status = object.status.unwrap_or_default();
    Some((
        object.metadata.name?.into(),
        Some(PublishedRow { fingerprint: fingerprint(&object.spec), status }),
    ))
}

pub(super) fn namespace(
    object: PartialObjectMeta<Namespace>,
    settings: &Settings,
) -> Option<(Name, Option<NamespaceRow>)> {
    let meta = object.metadata;
    let name = meta.name?;
    let row = NamespaceRow {
        armed: meta.annotations.as_ref().is_some_and(is_armed),
        open: settings.has_previews(&name, &meta.labels.unwrap_or_default()),
    };
    Some((name.into(), Some(row)))
}

fn is_armed(annotations: &BTreeMap<String, String>) -> bool {
    annotations.get(names::ARMED_ANNOTATION).is_some_and(|value| value == "true")
}

pub(super) fn workload(meta: &ObjectMeta, spec: &slim::WorkloadSpec) -> Option<(Ref, Option<WorkloadRow>)> {
    // A clone is nobody's target, and its selector drops no labels.
    let is_clone = meta.labels.as_ref().is_some_and(|it| it.contains_key(names::PREVIEW_LABEL));
    let row = WorkloadRow {
        uid: meta.uid.as_deref()?.into(),
        generation: meta.generation.unwrap_or_default(),
        template_of: spec.workload_ref.as_ref().and_then(|it| TemplateOf::named(&it.kind, &it.name)),
        selector: spec.selector.clone(),
        template: Box::new(template(meta, &spec.template)),
    };
    Some((of(meta)?, (!is_clone).then_some(row)))
}

pub(super) fn pod_template(object: &slim::PodTemplate) -> Option<(Ref, Option<PodTemplateRow>)> {
    let meta = &object.metadata;
    let row = PodTemplateRow {
        uid: meta.uid.as_deref()?.into(),
        generation: meta.generation.unwrap_or_default(),
        template: Box::new(template(meta, &object.template)),
    };
    Some((of(meta)?, Some(row)))
}

fn template(meta: &ObjectMeta, template: &slim::Template) -> TemplateRow {
    let ports = || template.spec.containers.iter().flat_map(|container| &container.ports);
    TemplateRow {
        armed: meta.annotations.as_ref().is_some_and(is_armed) || is_armed(&template.metadata.annotations),
        labels: template.metadata.labels.clone(),
        ports: ports::tcp(ports()).collect(),
        named: ports::named(ports()).map(|(name, port)| (name.into(), port)).collect(),
    }
}

pub(super) fn service(object: slim::Service) -> Option<(Ref, Option<ServiceRow>)> {
    let name = of(&object.metadata)?;
    let row =
        ServiceRow { name: name.name.to_string(), selector: object.spec.selector, ports: object.spec.ports };
    Some((name, Some(row)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_workload_that_becomes_a_clone_is_a_target_no_more() {
        let of = |labels: serde_json::Value| {
            let meta = json!({ "namespace": "demo", "name": "app", "uid": "u", "labels": labels });
            workload(&serde_json::from_value(meta).unwrap(), &slim::WorkloadSpec::default())
        };
        let (name, row) = of(json!({ "app": "app" })).unwrap();
        assert!(name == Ref::new("demo", "app") && row.is_some());
        assert_eq!(of(json!({ names::PREVIEW_LABEL: "pr-1" })), Some((name, None)), "its row has to go");
    }
}
