//! What is wanted of the nodes, and of each Preview.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use byway_api::NodeRoutesSpec;

use crate::rows::{Name, WorkloadKey};
use crate::scope::Scope;

/// What is wanted.
#[derive(Debug, Default)]
pub struct Plan {
    /// By node, as it is written. A node that has nothing to steer is not in it.
    pub nodes: BTreeMap<Name, Arc<NodeRoutesSpec>>,
    /// By UID of the Preview: those that are routed.
    pub routes: HashMap<Name, Planned>,
    /// Pods that have to be watched.
    pub scopes: BTreeSet<Scope>,
    /// Workloads that should be steered ahead of any preview and cannot be: how many ports they have.
    pub unarmed: BTreeMap<WorkloadKey, usize>,
    /// Whether every scope is known. Before, routes would be taken away that are only not seen yet.
    pub is_whole: bool,
}

/// What is wanted of one Preview.
#[derive(Debug, Default)]
pub struct Planned {
    /// What the agent of each node has to acknowledge: another one when the route is, or a target there.
    pub revisions: HashMap<Name, String>,
    /// UIDs of the pods that get its requests.
    pub backends: Vec<Name>,
    /// The target's ready pods: what the agents have to acknowledge it for.
    pub wanted: Vec<Wanted>,
    /// Nodes on which there is no room for it.
    pub overflow: Vec<Name>,
}

/// A pod that should be steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it runs.
    pub node: Name,
    /// [`Target::name`](byway_api::Target::name).
    pub target: String,
}
