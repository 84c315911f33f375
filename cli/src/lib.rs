//! `kubectl-preview`: the kubectl plugin.
//!
//! A command line becomes a Preview, and what became of it becomes words. The API server is all that it talks to, as
//! whoever calls it: it has no rights of its own, and nothing of Byway listens for it.
//!
//! ```text
//! start:  args -> draft (a Preview) -> place (which one it is) -> wait (conditions) -> progress and result
//! others: args -> select (Previews) -> words, explain -> output
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::needless_pass_by_value, reason = "json! makes values"))]

pub mod args;
pub mod client;
pub mod commands;
pub mod doctor;
pub mod draft;
pub mod events;
pub mod exit;
pub mod explain;
pub mod fields;
pub mod files;
pub mod fix;
pub mod help;
pub mod keys;
pub mod mirrord;
pub mod output;
pub mod place;
pub mod pods;
pub mod progress;
pub mod reach;
pub mod select;
pub mod text;
pub mod unique;
pub mod wait;
pub mod warnings;
pub mod words;
