//! What an agent says of its routes: a function of them and of how it behaves.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use byway_api::{
    Failure, Instance, NodeRoutesStatus, NodeTable, PreviewRequests, Refusal, RouteStatus, TargetFailure,
    TargetTraffic,
};

/// How an agent behaves. By default it acknowledges everything at once.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// How long after a change it says something.
    pub delay: Duration,
    /// It says nothing.
    pub silent: bool,
    /// Previews, as `NAMESPACE/NAME`, that it refuses.
    pub refuses: HashMap<String, Because>,
    /// Targets, as `NAMESPACE/POD`, on which it cannot steer.
    pub fails_on: HashMap<String, Because>,
    /// Why it steers nothing at all.
    pub failure: Option<Because>,
    /// What it sees on targets.
    pub traffic: Vec<TargetTraffic>,
    /// What came to previews.
    pub requests: Vec<PreviewRequests>,
}

/// A reason.
#[derive(Clone, Debug)]
pub struct Because {
    /// A stable code.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl Because {
    /// Of a code and a sentence.
    #[must_use]
    pub fn new(reason: &str, message: &str) -> Self {
        Self { reason: reason.to_owned(), message: message.to_owned() }
    }
}

impl Agent {
    pub(super) fn word(&self, table: &NodeTable, instance: Instance, generation: i64) -> NodeRoutesStatus {
        let previews = if self.failure.is_some() { &[][..] } else { &table.previews };
        let routes = |preview: &str| table.previews.iter().any(|it| it.name == preview);
        let has = |target: &str| table.targets.iter().any(|it| it.name == target);
        let mut previews: Vec<_> =
            previews.iter().map(|it| self.of_preview(&it.name, &it.revision, table)).collect();
        previews.sort_by(|a, b| a.name.cmp(&b.name));
        NodeRoutesStatus {
            instance: Some(instance),
            observed_generation: Some(generation),
            failure: self.failure.clone().map(|it| Failure { reason: it.reason, message: it.message }),
            previews,
            targets: self.traffic.iter().filter(|it| has(&it.target)).cloned().collect(),
            requests: self.requests.iter().filter(|it| routes(&it.preview)).cloned().collect(),
            more_requests: false,
        }
    }

    fn of_preview(&self, name: &str, revision: &str, table: &NodeTable) -> RouteStatus {
        let (name, revision) = (name.to_owned(), revision.to_owned());
        if let Some(because) = self.refuses.get(&name) {
            let Because { reason, message } = because.clone();
            let refused = Some(Refusal { revision, reason, message });
            return RouteStatus { name, revision: None, refused, failures: Vec::new() };
        }
        let targets = table.targets.iter().filter(|target| target.previews.contains(&name));
        let failures = targets.filter_map(|target| {
            let Because { reason, message } = self.fails_on.get(&target.name)?.clone();
            Some(TargetFailure { target: target.name.clone(), reason, message })
        });
        let failures = failures.collect();
        RouteStatus { name, revision: Some(revision), refused: None, failures }
    }
}

/// First addresses of backends that were not in `routed`, which is brought up to date.
pub(super) fn fresh_backends(table: &NodeTable, routed: &mut HashSet<String>) -> Vec<String> {
    let backends = table.previews.iter().flat_map(|preview| &preview.backends);
    let now: HashSet<String> = backends.filter_map(|it| it.ips.first()).map(ToString::to_string).collect();
    let fresh = now.difference(routed).cloned().collect();
    *routed = now;
    fresh
}
