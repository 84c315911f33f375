//! Which agent speaks for a node.

use std::collections::HashMap;

use byway_api::Instance;
use jiff::SignedDuration;

use crate::rows::{AgentRow, Name};
use crate::world::World;

/// The agent of each node that is to acknowledge: of those that are ready the newest, else the newest. In an upgrade
/// the successor has attached before it is ready, and until then the predecessor speaks.
pub fn agents_by_node(world: &World) -> HashMap<Name, &AgentRow> {
    let rank = |it: &AgentRow| (it.ready, !it.terminating, it.created, it.uid.clone());
    let mut agents: HashMap<Name, &AgentRow> = HashMap::new();
    for (_, agent) in world.agents.iter() {
        let best = agents.entry(agent.node.clone()).or_insert(agent);
        if rank(agent) > rank(best) {
            *best = agent;
        }
    }
    agents
}

/// Whether a word of this instance still counts: its pod is ready, and it is the process that runs now.
pub fn speaks(world: &World, instance: &Instance) -> bool {
    let Some(agent) = world.agents.get(&instance.pod_uid.as_str().into()) else { return false };
    // The kubelet knows the start of a container to the second.
    let a_second = SignedDuration::from_secs(1);
    agent.ready && agent.started.is_none_or(|started| instance.started_at + a_second >= started)
}
