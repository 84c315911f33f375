//! The control plane: from Previews to NodeRoutes, and from acknowledgements to conditions.
//!
//! The way of a change: [`watch`] -> [`world`] -> [`reconcile`] -> [`standing`] -> [`plan`] and [`clone`] -> [`publish`] and
//! [`mod@write`]; back: [`watch`] -> [`status`]. [`plan`], [`clone`] and [`status`] are pure. It knows nothing of BPF.
#![forbid(unsafe_code)]

pub mod admin;
pub mod args;
pub mod check;
pub mod clone;
pub mod connections;
pub mod leader;
pub mod metrics;
pub mod plan;
pub mod publish;
pub mod reconcile;
pub mod rows;
pub mod standing;
pub mod status;
pub mod table;
#[cfg(test)]
mod testing;
pub mod traffic;
pub mod uninstall;
pub mod watch;
pub mod world;
pub mod write;
