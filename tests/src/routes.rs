//! The document that tells an agent what to route.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Value, json};

use crate::Pod;

/// A NodeRoutes document, built step by step.
#[derive(Clone, Debug, Serialize)]
#[serde(into = "Value")]
pub struct Routes {
    previews: Vec<Value>,
    environments: Vec<Value>,
    targets: Vec<Value>,
}

/// A preview in it.
#[derive(Clone, Debug)]
pub struct Preview(Value);

impl Routes {
    /// The node's name in every document.
    pub const NODE: &str = "node-1";

    /// Routes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            previews: Vec::new(),
            environments: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Adds a preview.
    #[must_use]
    pub fn preview(mut self, preview: Preview) -> Self {
        self.previews.push(preview.0);
        self
    }

    /// Steers `ports` of a pod, for the previews of these names.
    #[must_use]
    pub fn target(self, pod: &Pod, ports: &[u16], previews: &[&str]) -> Self {
        self.target_at(&pod.name, pod.netns(), &pod.ips(), ports, previews)
    }

    /// The same with every value given, also wrong ones.
    #[must_use]
    pub fn target_at(
        mut self,
        name: &str,
        netns: &std::path::Path,
        ips: &[IpAddr],
        ports: &[u16],
        previews: &[&str],
    ) -> Self {
        self.targets
            .push(json!({ "name": name, "netns": netns, "ips": ips, "ports": ports, "previews": previews }));
        self
    }

    /// What these pods call belongs to the environment of `key`.
    #[must_use]
    pub fn environment(mut self, key: &str, pods: &[&Pod]) -> Self {
        let ips: Vec<_> = pods.iter().flat_map(|pod| pod.ips()).collect();
        self.environments.push(json!({ "key": key, "ips": ips }));
        self
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Routes> for Value {
    fn from(routes: Routes) -> Self {
        json!({
            "apiVersion": "byway.dev/v1alpha1",
            "kind": "NodeRoutes",
            "metadata": { "name": Routes::NODE },
            "spec": {
                "previews": routes.previews,
                "environments": routes.environments,
                "targets": routes.targets,
            },
        })
    }
}

impl Preview {
    /// A preview without backends, keyed by the default carriers.
    #[must_use]
    pub fn new(name: &str, key: &str) -> Self {
        Self(json!({
            "name": name, "revision": "1", "key": key,
            "onUnreachable": "error", "responseHeader": true, "backends": [],
        }))
    }

    /// Adds a pod that answers for it.
    #[must_use]
    pub fn backend(mut self, pod: &Pod) -> Self {
        if let Some(backends) = self.0["backends"].as_array_mut() {
            backends.push(json!({ "ips": pod.ips() }));
        }
        self
    }

    /// Sets any field of the document by its name there, say `("onUnreachable", json!("stable"))`.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }
}
