//! NodeRoutes objects, whose table is a text.

use byway_api::NodeRoutesStatus;
use serde_json::{Value, json};

/// The object of a node whose agent is the pod `agent`.
#[must_use]
pub fn node_routes(node: &str, agent: Option<&str>, table: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "NodeRoutes", "metadata": { "name": node },
        "spec": { "table": table.to_string() },
    });
    if let Some(uid) = agent {
        object["spec"]["agentPodUid"] = uid.into();
    }
    object
}

/// The status of such an object, with an entry of each preview.
#[must_use]
pub fn status_of(mut object: Value) -> Value {
    let mut status = object["status"].take();
    if let Ok(read) = serde_json::from_value::<NodeRoutesStatus>(status.clone()) {
        status["previews"] = serde_json::to_value(read.previews).unwrap_or_default();
    }
    status
}

/// The table in such an object.
#[must_use]
pub fn table_of(object: &Value) -> Option<Value> {
    serde_json::from_str(object["spec"]["table"].as_str()?).ok()
}
