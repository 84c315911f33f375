//! What Byway's parts say to each other: the routes of a node, and the match language.
//!
//! The controller writes [`NodeRoutes`], the agent reads and acknowledges it, the CLI explains it. This crate
//! holds values and pure functions only: no I/O, no clock, and nothing of BPF. Text becomes a type once, at
//! the edge: [`PreviewRoute::compile`] is where a route from outside becomes one that can be relied on.
#![forbid(unsafe_code)]

pub mod key;
pub mod matching;
pub mod node_routes;
pub mod route;

pub use key::{Key, KeyError};
pub use matching::{CompiledMatch, HeaderMatch, Match, MatchError, Matcher, PathMatch};
pub use node_routes::{
    Backend, Environment, Instance, Metadata, NodeRoutes, NodeRoutesSpec, NodeRoutesStatus, OnUnreachable,
    PreviewRoute, PreviewStatus, Refusal, Target, TargetFailure,
};
pub use route::{CompiledRoute, RouteError};
