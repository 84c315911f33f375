//! The controller on a real API server, with simulated nodes: from Previews to routes, and back to conditions.
#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

mod agents;
mod armed;
mod claims;
mod connections;
mod copies;
mod crowd;
mod files;
mod labels;
mod leaders;
mod lifecycle;
mod outages;
mod refusals;
mod sleep;
mod stage;
mod targets;
mod troubles;
mod validation;
mod webhooks;
