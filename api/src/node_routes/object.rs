//! The object in the API server that a spec and a status are in.

use kube::Resource as _;
use serde_json::{Value, json};

use super::{NodeRoutes, NodeRoutesStatus};

impl NodeRoutes {
    /// Kind.
    pub const KIND: &str = "NodeRoutes";
}

impl NodeRoutesStatus {
    /// What to put in place of the status of the object `name` as it was at `version`; of another one, or when it has
    /// changed meanwhile, that is a conflict. Replacing takes the API server less than patching, which writes the whole
    /// object down to change it.
    #[must_use]
    pub fn replacing(&self, name: &str, uid: &str, version: u64) -> Value {
        json!({
            "apiVersion": NodeRoutes::api_version(&()), "kind": NodeRoutes::kind(&()),
            "metadata": { "name": name, "uid": uid, "resourceVersion": version.to_string() },
            "spec": { "table": "" }, // the server keeps its own
            "status": self,
        })
    }
}
