//! The kubectl plugin on a real API server, with the real controller and simulated nodes.
#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

mod command;
mod previews;
mod real_logs;
mod refusals;
mod run;
#[path = "../control_plane/stage.rs"]
#[allow(dead_code, reason = "it is made for more tests than these")]
mod stage;
mod start;
mod trust;
mod waits;
