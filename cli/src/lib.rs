//! `kubectl-preview`: the kubectl plugin.
//!
//! A command line becomes a Preview, and what became of it becomes words. The API server is all that it talks to, as
//! whoever calls it: it has no rights of its own, and nothing of Byway listens for it.
#![forbid(unsafe_code)]

pub mod args;
pub mod doctor;
pub mod exit;
pub mod mirrord;
