//! The fields of Byway's objects, as their CRDs have them.

use std::collections::BTreeSet;

use byway_api::Preview;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value};

/// Paths of all fields of v1alpha1, if that is served. Those of a list's entries are below the list.
#[must_use]
pub fn of(crd: &CustomResourceDefinition) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    let served = crd.spec.versions.iter().find(|version| version.name == "v1alpha1" && version.served);
    let schema = served.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    if let Some(schema) = schema.and_then(|schema| serde_json::to_value(schema).ok()) {
        collect(&schema, "", &mut fields);
    }
    // What every object has, whether or not the schema says so.
    fields.retain(|field| !["apiVersion", "kind", "metadata"].contains(&field.as_str()));
    fields
}

fn collect(schema: &Value, path: &str, fields: &mut BTreeSet<String>) {
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = joined(path, name);
        collect(below, &path, fields);
        fields.insert(path);
    }
    if schema["items"].is_object() {
        collect(&schema["items"], path, fields);
    }
}

/// A line for each field of a Preview's spec that this version does not know.
#[must_use]
pub fn unknown(spec: &Map<String, Value>) -> Vec<String> {
    let known = of(&Preview::crd());
    let mut unknown = Vec::new();
    let mut rest: Vec<(String, &Value)> = members("spec", spec);
    while let Some((path, value)) = rest.pop() {
        if !known.contains(&path) {
            let hint = nearest(&path, &known).map_or_else(String::new, |it| format!(": did you mean {it}?"));
            unknown.push(format!("{path}: there is no such field{hint}"));
            continue;
        }
        match value {
            Value::Object(map) => rest.extend(members(&path, map)),
            Value::Array(items) => {
                rest.extend(items.iter().filter_map(Value::as_object).flat_map(|it| members(&path, it)));
            }
            _ => {}
        }
    }
    unknown.sort();
    unknown.dedup();
    unknown
}

fn members<'v>(path: &str, map: &'v Map<String, Value>) -> Vec<(String, &'v Value)> {
    map.iter().map(|(name, value)| (joined(path, name), value)).collect()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The field beside it that was probably meant.
fn nearest<'k>(path: &str, known: &'k BTreeSet<String>) -> Option<&'k str> {
    let (parent, name) = path.rsplit_once('.')?;
    let beside = known.iter().filter_map(|it| it.rsplit_once('.')).filter(|(it, _)| *it == parent);
    similar(name, beside.map(|(_, name)| name))
}

/// The most similar name, if it is similar enough for a slip.
pub(crate) fn similar<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = plain(name);
    let (distance, found) = names.map(|it| (strsim::damerau_levenshtein(&plain(it), &wanted), it)).min()?;
    // Of a short name, a third of the letters is soon another word.
    (distance <= (wanted.len() / 3).max(1)).then_some(found)
}

/// What is left of a name without what people write in different ways.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_spec(spec: &Value) -> Vec<String> {
        unknown(spec.as_object().unwrap())
    }

    #[test]
    fn what_is_not_known_is_named_with_what_was_probably_meant() {
        let spec = json!({
            "targt": { "kind": "Deployment" }, "image_pull_policy": "Never", "wholly": { "other": 1 },
            "incoming": { "match": { "any": [{ "hedder": { "name": "a" } }, { "hedder": {} }] } },
        });
        let said = [
            "spec.image_pull_policy: there is no such field: did you mean imagePullPolicy?",
            "spec.incoming.match.any.hedder: there is no such field: did you mean header?",
            "spec.targt: there is no such field: did you mean target?",
            "spec.wholly: there is no such field",
        ];
        assert_eq!(of_spec(&spec), said);
    }

    #[test]
    fn what_is_known_is_not_named() {
        let spec = json!({
            "image": "a", "target": { "kind": "Pod", "name": "a" }, "incoming": { "ports": [80] },
            "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k", "optional": true } } }],
        });
        assert_eq!(of_spec(&spec), Vec::<String>::new());
    }
}
