//! The node agent: steers keyed requests of the pods of one node to their previews.
//!
//! The way of a request: [`accept`] -> [`dial`] -> [`forward`]. The way of a route: [`source`] -> [`snapshot`] ->
//! [`control`] -> [`attach`] and [`tables`] -> `ack`. ARCHITECTURE.md has the map.
//!
//! Without the feature `kubernetes` routes come from a file alone, and nothing that speaks with the API server is compiled.

mod accept;
#[cfg(feature = "kubernetes")]
mod ack;
mod address;
mod admin;
mod admission;
pub mod args;
mod asleep;
mod attach;
mod backend;
#[cfg(feature = "kubernetes")]
mod contact;
mod control;
mod dial;
mod direct;
#[doc(hidden)]
pub mod foreign;
mod forward;
pub mod inspect;
mod kernel;
mod mirror;
#[cfg(feature = "kubernetes")]
mod node_routes;
mod observer;
mod serve;
mod snapshot;
mod sock_diag;
mod source;
mod steering;
mod stream;
mod sys;
mod tables;
mod target;
mod watchdog;
mod worker;

pub use serve::serve;
pub use watchdog::watch;
