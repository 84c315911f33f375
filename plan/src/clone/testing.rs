//! Manifests for the tests of this module, as people write them.

use byway_api::{Key, Preview, TargetKind, names::REVISION_LABEL};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::{Children, Found, Refusal, Source, Surroundings, of_target, source_of};
use crate::rows::{SelectorRow, ServiceRow};

/// The UID of all these Previews.
const UID: &str = "5c1c7bbe-0000-4000-8000-000000000001";

/// The key of all these Previews.
pub(super) fn key() -> Key {
    "key-1".parse().unwrap()
}

/// Anything from YAML.
pub(super) fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// A Preview named `redesign` in `staging` with this spec. Image and target have defaults.
pub(super) fn preview(spec: &str) -> Preview {
    let mut all: Value =
        yaml("{image: registry.example.com/my-app:feature, target: {kind: Deployment, name: my-app}}");
    if let Value::Object(given) = yaml::<Value>(spec) {
        all.as_object_mut().unwrap().extend(given);
    }
    let object = serde_json::json!({
        "apiVersion": "byway.dev/v1alpha1",
        "kind": "Preview",
        "metadata": { "name": "redesign", "namespace": "staging", "uid": UID },
        "spec": all,
    });
    serde_json::from_value(object).unwrap()
}

/// A workload of this kind, named `my-app`, with this pod template; its pods have the label `app: my-app`.
pub(super) fn source(kind: TargetKind, template: &str) -> Source {
    let mut template: Value = yaml(template);
    template["metadata"]["labels"]["app"] = "my-app".into();
    let mut object = serde_json::json!({ "metadata": { "name": "my-app", "uid": "uid-of-my-app" } });
    if kind == TargetKind::Pod {
        object["metadata"].as_object_mut().unwrap().extend(template["metadata"].as_object().unwrap().clone());
        object["spec"] = template["spec"].take();
    } else {
        object["spec"] =
            serde_json::json!({ "selector": { "matchLabels": { "app": "my-app" } }, "template": template });
    }
    found(kind, &object)
}

pub(super) fn found(kind: TargetKind, object: &Value) -> Source {
    match source_of(kind, object).unwrap() {
        Found::Source(source) => *source,
        Found::WorkloadRef(elsewhere) => panic!("{elsewhere:?}"),
    }
}

/// A Deployment with one container `app` on port 8080, and `more` in its pod spec.
pub(super) fn plain(more: &str) -> Source {
    let mut source = source(
        TargetKind::Deployment,
        "spec: {containers: [{name: app, image: 'my-app:1', ports: [{containerPort: 8080}]}]}",
    );
    let mut spec = serde_json::to_value(&source.spec).unwrap();
    if let Value::Object(given) = yaml::<Value>(more) {
        spec.as_object_mut().unwrap().extend(given);
    }
    source.spec = serde_json::from_value(spec).unwrap();
    source
}

/// The clone of `source` for the Preview with this spec, in an empty namespace.
pub(super) fn alone(spec: &str, source: &Source) -> Result<Children, Refusal> {
    of_target(&preview(spec), &key(), source, &Surroundings::default())
}

/// Its pod spec and the pods' metadata without the revision, as JSON.
pub(super) fn pods(children: &Children) -> (Value, Value) {
    let object = serde_json::to_value(&children.deployment).unwrap();
    let (spec, mut meta) =
        (object["spec"]["template"]["spec"].clone(), object["spec"]["template"]["metadata"].clone());
    let revision = meta["labels"].as_object_mut().and_then(|labels| labels.remove(REVISION_LABEL)).unwrap();
    assert_eq!(revision.as_str().unwrap().len(), 16);
    (spec, meta)
}

/// The name that is this preview's alone.
pub(super) fn own_name() -> String {
    byway_api::names::child_name("redesign", UID)
}

/// The message of its only warning with this code.
pub(super) fn said<'a>(children: &'a Children, reason: &str) -> &'a str {
    let mut found = children.warnings.iter().filter(|warning| warning.reason == reason);
    let first = found.next().unwrap_or_else(|| panic!("no {reason} in {:?}", children.warnings));
    assert!(found.next().is_none(), "{reason} twice");
    &first.message
}

/// The codes of the warnings.
pub(super) fn reasons(children: &Children) -> Vec<&str> {
    children.warnings.iter().map(|warning| warning.reason).collect()
}

pub(super) fn service(name: &str, selector: &str, ports: &str) -> ServiceRow {
    ServiceRow { name: name.to_owned(), selector: yaml(selector), ports: yaml(ports) }
}

pub(super) fn row(kind: &str, name: &str, selector: &str) -> SelectorRow {
    SelectorRow { kind: kind.to_owned(), name: name.to_owned(), selector: yaml::<LabelSelector>(selector) }
}
