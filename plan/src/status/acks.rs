//! What the agents say of each route that is wanted.

use std::collections::HashMap;

use byway_api::conditions::reason;
use byway_api::{NodeRoutesStatus, RouteStatus};

use crate::routes::{Planned, Wanted, speaks};
use crate::rows::{AgentRow, Name};
use crate::world::World;

/// The agents' word on one wanted route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which.
    pub wanted: Wanted,
    /// What was said.
    pub says: Says,
}

/// What is said of a wanted route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is live.
    Programmed,
    /// Nothing yet.
    Nothing,
    /// It is not, and will not be by waiting: a reason and a sentence.
    Failed(String, String),
    /// Nobody is there who could say it.
    Nobody(&'static str, String),
}

impl Ack {
    /// It is live.
    pub fn is_programmed(&self) -> bool {
        self.says == Says::Programmed
    }

    /// An agent that steers this pod with older routes: until it acknowledges, requests go to older pods.
    pub fn is_awaited(&self) -> bool {
        self.says == Says::Nothing
    }
}

/// What each node's agent said last, in a form that can be asked quickly.
pub struct Words<'a> {
    world: &'a World,
    agents: HashMap<Name, &'a AgentRow>,
    by_node: HashMap<Name, HashMap<&'a str, &'a RouteStatus>>,
}

impl<'a> Words<'a> {
    /// Of all nodes.
    pub fn new(world: &'a World) -> Self {
        let of =
            |status: &'a NodeRoutesStatus| status.previews.iter().map(|it| (it.name.as_str(), it)).collect();
        let by_node = world.node_routes.iter().map(|(node, row)| (node.clone(), of(&row.status)));
        Self { world, agents: crate::routes::agents_by_node(world), by_node: by_node.collect() }
    }

    /// What is said of every route that is wanted for the Preview `name`.
    pub fn of(&self, name: &str, planned: &Planned) -> Vec<Ack> {
        let mut acks = Vec::with_capacity(planned.wanted.len());
        for wanted in &planned.wanted {
            acks.push(Ack { wanted: wanted.clone(), says: self.says(name, planned, wanted) });
        }
        acks
    }

    fn says(&self, name: &str, planned: &Planned, wanted: &Wanted) -> Says {
        let node = &wanted.node;
        if planned.overflow.contains(node) {
            let why =
                format!("there is no room for more previews on node {node}: end some, or use fewer targets");
            return Says::Failed(reason::NODE_FULL.to_owned(), why);
        }
        match self.agents.get(node) {
            None => return Says::Nobody(reason::NO_AGENT, format!("no agent runs on node {node}")),
            Some(agent) if !agent.ready => {
                let why = self
                    .failure(node)
                    .map(|it| format!(" ({}: {})", it.reason, it.message))
                    .unwrap_or_default();
                return Says::Nobody(
                    reason::AGENT_NOT_READY,
                    format!("the agent of node {node} is not ready{why}"),
                );
            }
            Some(_) => {}
        }
        let Some(row) = self.world.node_routes.get(node) else { return Says::Nothing };
        if !row.status.instance.as_ref().is_some_and(|it| speaks(self.world, it)) {
            return Says::Nothing;
        }
        if let Some(failure) = &row.status.failure {
            return Says::Failed(failure.reason.clone(), format!("on node {node}: {}", failure.message));
        }
        let Some(word) = self.by_node.get(node).and_then(|it| it.get(name)) else { return Says::Nothing };
        let revision = planned.revisions.get(node);
        if let Some(refusal) = word.refused.as_ref().filter(|it| Some(&it.revision) == revision) {
            return Says::Failed(
                refusal.reason.clone(),
                format!("the agent of node {node} refuses it: {}", refusal.message),
            );
        }
        if word.revision.as_ref() != revision || revision.is_none() {
            return Says::Nothing;
        }
        match word.failures.iter().find(|it| it.target == wanted.target) {
            Some(it) => {
                Says::Failed(it.reason.clone(), format!("{} on node {node}: {}", it.target, it.message))
            }
            None => Says::Programmed,
        }
    }

    fn failure(&self, node: &Name) -> Option<&byway_api::Failure> {
        self.world.node_routes.get(node)?.status.failure.as_ref()
    }
}
