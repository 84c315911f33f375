//! What came to each Preview: what the agents say, and what was written of it before.

use std::collections::HashMap;

use byway_api::{Preview, RequestCounts};
use jiff::Timestamp;

use crate::world::World;

/// What came to a Preview.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What became of it.
    pub counts: RequestCounts,
    /// When the last request came, as far as is known.
    pub last: Option<Timestamp>,
}

/// The agents' word on each Preview, by `NAMESPACE/NAME`.
pub fn of_agents(world: &World) -> HashMap<&str, Traffic> {
    let mut all: HashMap<&str, Traffic> = HashMap::new();
    for said in world.node_routes.iter().flat_map(|(_, row)| &row.status.requests) {
        let sum = all.entry(said.preview.as_str()).or_default();
        sum.counts = sum.counts.each(said.counts, u64::saturating_add);
        sum.last = sum.last.max(said.last_request_time);
    }
    all
}

impl Traffic {
    /// Numbers of a Preview never fall: an agent that starts anew counts anew, and with the routes its word goes.
    pub fn since(self, preview: &Preview) -> Self {
        let Some(before) = &preview.status else { return self };
        let written = before.last_request_time.as_ref().map(|time| time.0);
        Self { counts: self.counts.each(before.traffic, u64::max), last: self.last.max(written) }
    }
}
