//! A cluster whose nodes are objects only: for tests and measurements of the control plane, at sizes that no machine runs.
//!
//! The API server, etcd and the controller manager are real, and so is the controller under test. What is made up here is
//! what would run on nodes: a kubelet that starts pods and lets them be ready, or fail, as a test wants it; and agents that
//! acknowledge routes, late, never, or with a refusal. One process plays all nodes.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use byway_sim::{Controller, Does, Kube, Pods, Sim};
//! use byway_tests::Cluster;
//!
//! let cluster = Cluster::builder().simulated_nodes().without_scheduler().start()?;
//! let kube = Kube::of(&cluster)?;
//! kube.install_crds()?;
//! let sim = Sim::builder(&kube).nodes(3).start()?;
//! let controller = Controller::builder(cluster.kubeconfig()).identity("a").start()?;
//! sim.pods(Pods::of_image("broken:1"), Does::ImagePullFails);
//! sim.agent(sim.node(0), |agent| agent.silent = true);
//! # Ok(())
//! # }
//! ```
//!
//! All calls block, and must not be made from asynchronous code. Everything is a guard.
#![forbid(unsafe_code)]

mod agents;
mod controller;

mod kubelet;
mod manner;
mod nodes;
mod objects;
mod pod;
mod proxy;
mod runtime;
mod shared;
mod sim;
mod word;

pub use controller::{Controller, ControllerBuilder};
pub use manner::{Does, Pods};
pub use objects::{Kube, said};
pub use proxy::{ApiProxy, Kill, Write};
pub use shared::Happened;
pub use sim::{Sim, SimBuilder};
pub use word::{Agent, Because};
