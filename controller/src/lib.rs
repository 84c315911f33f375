//! The control plane: from Previews to NodeRoutes, and from acknowledgements to conditions.
//!
//! The way of a change: [`watch`] -> [`reconcile`] -> what [`byway_plan`] makes of it -> [`publish`] and [`mod@write`]. It
//! decides nothing itself, and knows nothing of BPF.
#![forbid(unsafe_code)]

pub mod admin;
pub mod args;
pub mod check;
pub mod connections;
pub mod leader;
pub mod metrics;
pub mod publish;
pub mod reconcile;
mod rollout;
pub mod uninstall;
pub mod watch;
pub mod write;
