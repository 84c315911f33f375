//! Where it happens: two nodes of our own, or a cluster that somebody gave.

use std::path::Path;
use std::process::Command;

use byway_tests::{Cluster, ProxyMode};

/// A command that brings an image to a cluster that was given.
const LOAD: &str = "BYWAY_LOAD_IMAGE";

pub(crate) struct Place(pub(crate) Cluster);

impl Place {
    pub(crate) fn is_given() -> bool {
        std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty())
    }

    pub(crate) fn given_or(mode: ProxyMode) -> Self {
        if let Some(kubeconfig) = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) {
            return Self(Cluster::from_kubeconfig(Path::new(&kubeconfig)).unwrap());
        }
        Self(Cluster::builder().nodes(2).proxy_mode(mode).start().unwrap())
    }

    /// Whoever gave the cluster may have Byway in it, or namespaces of these names: then nothing is touched.
    pub(crate) fn must_be_free(&self, crds: &[&str], namespaces: &[&str]) {
        let there = |kind: &str, names: &[&str]| {
            let args = [&["get", kind, "--ignore-not-found", "-o", "name"], names].concat();
            self.0.ask(args).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let there = [there("crd", crds), there("namespace", namespaces)].concat();
        let advice = "the test installs Byway itself, and removes it: give it a cluster without these";
        assert!(there.is_empty(), "the cluster has {} already: {advice}", there.join(", "));
    }

    /// Brings an image to all nodes.
    pub(crate) fn load_image(&self, archive: &Path) {
        if self.0.is_ours() {
            return self.0.load_image(archive).unwrap();
        }
        let load = std::env::var(LOAD).unwrap_or_else(|_| {
            panic!("KUBECONFIG names the cluster: set {LOAD} to what loads an image there, e.g. `kind load image-archive`")
        });
        let script = format!("{load} \"$1\"");
        let status = Command::new("sh").args(["-c", &script, "sh"]).arg(archive).status().unwrap();
        assert!(status.success(), "{load} {}: {status}", archive.display());
    }
}
