//! What Byway's parts say to each other: Previews, the routes of a node, and the match language.
//!
//! A user writes a [`Preview`]. The controller makes [`NodeRoutes`] of it, the agent reads and acknowledges these,
//! the CLI explains both. This crate holds values and pure functions only: no I/O, no clock, and nothing of BPF. Text
//! becomes a type once, at the edge: [`PreviewRoute::compile`] is where a route from outside becomes one that can be
//! relied on.
#![forbid(unsafe_code)]

mod absent;
pub mod conditions;
mod crds;
pub mod key;
pub mod losses;
pub mod matching;
pub mod names;
pub mod node_routes;
pub mod node_table;
pub mod preview;
pub mod route;
pub mod ttl;

pub use crds::crds;
pub use key::{Key, KeyError};
pub use losses::{Loss, loss};
pub use matching::{CompiledMatch, HeaderMatch, Match, MatchError, Matcher, PathMatch};
pub use node_routes::{
    Failure, Instance, NodeRoutes, NodeRoutesSpec, NodeRoutesStatus, PreviewRequests, Refusal, RequestCounts,
    RouteStatus, TargetFailure, TargetTraffic,
};
pub use node_table::{Backend, Environment, NodeTable, NodeTableFile, PreviewRoute, Target, Unkeyed};
pub use preview::{
    ClaimTemplates, ExistingConnections, Incoming, Mode, OnUnreachable, Phase, Preview, PreviewPod,
    PreviewSpec, PreviewStatus, PreviewTarget, Problem, PullPolicy, RouteCounts, TargetKind,
};
pub use route::{CompiledRoute, RouteError};
pub use ttl::{Ttl, TtlError, time_left};
