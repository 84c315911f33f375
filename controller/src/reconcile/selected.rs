//! Pods of previews that somebody selects since they were made: they lose the label by which they do.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Instant;

use byway_plan::relabel::{Labels, relabel};
use byway_plan::routes;
use byway_plan::rows::{Name, Ref};
use byway_plan::standing::Standing;
use byway_plan::wish::Around;
use byway_plan::world::World;
use kube::Client;

use crate::metrics::Metrics;
use crate::write::labels::{Changes, change};
use crate::write::{Desired, Echo};

/// Changes of labels that are wanted, and on their way.
pub(super) struct Selected {
    desired: Desired<Ref, Changes, ()>,
    changed: Echo<Ref, Labels>,
    /// Pods that nobody selects, by UID: as of what bears on their namespace, and of their labels. They are looked at again
    /// when either is another.
    escaped: HashMap<Name, u64>,
}

impl Selected {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let desired = Desired::new("labels", 32, metrics);
        Self { desired, changed: Echo::default(), escaped: HashMap::new() }
    }

    /// Looks at the pods of all previews in whose namespace it is known who selects.
    pub(super) fn want(
        &mut self,
        world: &World,
        standings: &[Standing],
        around: &HashMap<Name, (Arc<Around>, u64)>,
    ) {
        self.forget_gone(world);
        let pods = routes::by_preview(world, standings);
        for standing in standings {
            let Some((around, version)) = around.get(&standing.name.namespace) else { continue };
            for row in pods.get(&standing.uid).into_iter().flatten() {
                let mut hasher = DefaultHasher::new();
                (version, &row.labels).hash(&mut hasher);
                let looked_at = hasher.finish();
                if self.escaped.get(&row.pod.uid) == Some(&looked_at) {
                    continue;
                }
                let name = &row.pod.name;
                match relabel(row, standing, &around.selecting) {
                    None => drop(self.escaped.insert(row.pod.uid.clone(), looked_at)),
                    Some((changes, after)) if self.changed.must_write(name, &after, Some(&row.labels)) => {
                        self.changed.sent(name.clone(), after, Some(row.labels.clone()));
                        self.desired.want(name.clone(), (row.pod.uid.clone(), changes));
                    }
                    Some(_) => {}
                }
            }
        }
    }

    fn forget_gone(&mut self, world: &World) {
        let rows = || world.preview_pods.iter();
        let (uids, names): (HashSet<&Name>, HashSet<&Ref>) =
            rows().map(|(uid, row)| (uid, &row.pod.name)).unzip();
        self.escaped.retain(|uid, _| uids.contains(uid));
        self.changed.retain(|pod| names.contains(pod));
        self.desired.retain(|pod| names.contains(pod));
    }

    /// Starts the changes that may start now.
    pub(super) fn write(&mut self, client: impl Fn() -> Client) {
        self.desired.write(|pod, changes| change(client(), pod, changes));
    }

    /// Waits for the next change to end.
    pub(super) async fn ended(&mut self) {
        let (pod, done) = self.desired.ended().await;
        if done.is_err() {
            self.changed.forget(&pod);
        }
    }

    /// When one that failed is tried again.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.desired.next_try()
    }
}
