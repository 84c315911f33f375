//! `kubectl-preview`: the kubectl plugin.
//!
//! A command line becomes a Preview, and what became of it becomes words. The API server is all that it talks to, as
//! whoever calls it: it has no rights of its own, and nothing of Byway listens for it.
//!
//! ```text
//! start: args -> draft (a Preview) -> place (which one it is) -> wait (conditions) -> progress and result
//! others: args -> select (Previews) -> words, explain -> output
//! ```
#![forbid(unsafe_code)]

pub mod args;
pub mod client;
pub mod doctor;
pub mod events;
pub mod exit;
pub mod fix;
pub mod keys;
pub mod mirrord;
pub mod output;
pub mod progress;
pub mod reach;
pub mod select;
pub mod words;
