//! Watches on the pods of targets: one for each set of pods that some Preview is about, and none for the others.

use std::collections::{BTreeSet, HashMap};

use kube::Api;
use tokio::task::AbortHandle;

use super::objects::keyed_by_uid;
use super::slim::Pod;
use super::{Update, Watch, config, pods};
use crate::rows::Name;

/// Pods of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The namespace.
    pub namespace: Name,
    /// Which of its pods.
    pub pods: Pods,
}

/// Which pods of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pods {
    /// Those that a label selector finds, as the API server takes it.
    Selected(Name),
    /// The one of this name.
    Named(Name),
}

/// The watches that run.
pub struct Scopes {
    watch: Watch,
    running: HashMap<Scope, AbortHandle>,
}

impl Scopes {
    /// None yet.
    pub fn new(watch: Watch) -> Self {
        Self { watch, running: HashMap::new() }
    }

    /// Watches what is wanted, and nothing else any more.
    pub fn want(&mut self, wanted: &BTreeSet<Scope>) {
        self.running.retain(|scope, task| {
            let keep = wanted.contains(scope);
            if !keep {
                task.abort();
            }
            keep
        });
        for scope in wanted {
            if !self.running.contains_key(scope) {
                let task = self.start(scope.clone());
                self.running.insert(scope.clone(), task);
            }
        }
    }

    fn start(&self, scope: Scope) -> AbortHandle {
        let api: Api<Pod> = Api::namespaced(self.watch.client.clone(), &scope.namespace);
        let config = match &scope.pods {
            Pods::Selected(labels) => config().labels(labels),
            Pods::Named(name) => config().fields(&format!("metadata.name={name}")),
        };
        let row = |pod: Pod| keyed_by_uid(&pod, pods::target);
        self.watch
            .follow("target pods", api, config, row, move |change| Update::TargetPod(scope.clone(), change))
    }
}
