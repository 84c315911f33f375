//! What Byway's parts say to each other: Previews, the routes of a node, and the match language.
//!
//! A user writes a [`Preview`]. The controller makes [`NodeRoutes`] of it, the agent reads and acknowledges these,
//! the CLI explains both. This crate holds values and pure functions only: no I/O, no clock, and nothing of BPF. Text
//! becomes a type once, at the edge: [`PreviewRoute::compile`] is where a route from outside becomes one that can be
//! relied on.
//!
//! Without the feature `kubernetes` it is what a node needs to steer by a file: no Preview, no CRD, and none of the types of
//! Kubernetes, which take longer to compile than all else.
#![forbid(unsafe_code)]

mod absent;
pub mod conditions;
#[cfg(feature = "kubernetes")]
mod crds;
mod derives;
pub mod key;
pub mod losses;
pub mod matching;
pub mod names;
pub mod node_routes;
pub mod node_table;
#[cfg(feature = "kubernetes")]
pub mod preview;
pub mod route;
#[cfg(feature = "kubernetes")]
mod schema;
pub mod ttl;
pub mod ways;

#[cfg(feature = "kubernetes")]
pub use crds::crds;
pub use key::{Key, KeyError};
pub use losses::{Loss, loss, passed_on};
pub use matching::{CompiledMatch, HeaderMatch, Match, MatchError, Matcher, PathMatch};
#[cfg(feature = "kubernetes")]
pub use node_routes::NodeRoutes;
pub use node_routes::{
    Failure, Instance, Mirrored, NodeRoutesSpec, NodeRoutesStatus, PreviewRequests, Refusal, RequestCounts,
    RouteStatus, TargetFailure, TargetTraffic,
};
pub use node_table::{
    Backend, Environment, ExistingConnections, NodeTable, NodeTableFile, OnUnreachable, PreviewRoute, Target,
    Unkeyed,
};
#[cfg(feature = "kubernetes")]
pub use preview::{
    ClaimTemplates, Contents, EntryRef, EnvMapping, File, Idle, Incoming, Labels, Mode, Phase, PortMapping,
    Preview, PreviewPod, PreviewSpec, PreviewStatus, PreviewTarget, Problem, PullPolicy, RouteCounts,
    TargetKind,
};
pub use route::{CompiledRoute, RouteError};
pub use ttl::{Ttl, TtlError, time_left};
