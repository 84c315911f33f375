//! Watches on the pods of targets: one for each set of pods that some Preview is about, and none for the others.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube::{Api, Client};
use tokio::task::AbortHandle;

use byway_plan::scope::{Pods, Scope};
use byway_plan::update::Update;

use super::objects::keyed_by_uid;
use super::slim::Pod;
use super::{Watch, config, pods};
use crate::connections::Connections;

/// The watch, in metrics and logs.
const TARGET_PODS: &str = "target pods";

/// The watches that run.
pub struct Scopes {
    watch: Watch,
    connections: Connections,
    running: HashMap<Scope, Running>,
}

/// A watch, until it is dropped.
struct Running {
    task: AbortHandle,
    _place: Arc<Client>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scopes {
    /// None yet.
    pub fn new(watch: Watch, connections: Connections) -> Self {
        Self { watch, connections, running: HashMap::new() }
    }

    /// Watches what is wanted, and nothing else any more.
    pub fn want(&mut self, wanted: &BTreeSet<Scope>) {
        self.running.retain(|scope, _| wanted.contains(scope));
        for scope in wanted {
            if self.running.contains_key(scope) {
                continue;
            }
            match self.connections.place() {
                Ok(place) => drop(self.running.insert(scope.clone(), self.start(scope.clone(), place))),
                Err(error) => self.watch.broke(TARGET_PODS, &error), // and is wanted again
            }
        }
    }

    fn start(&self, scope: Scope, place: Arc<Client>) -> Running {
        let api: Api<Pod> = Api::namespaced(Client::clone(&place), &scope.namespace);
        let config = match &scope.pods {
            Pods::Selected(labels) => config().labels(labels),
            Pods::Named(name) => config().fields(&format!("metadata.name={name}")),
        };
        let row = |pod: Pod| keyed_by_uid(&pod, pods::target);
        let wrap = move |change| Update::TargetPod(scope.clone(), change);
        Running { task: self.watch.follow(TARGET_PODS, api, config, row, wrap), _place: place }
    }
}
