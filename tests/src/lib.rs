//! A node and its pods on one machine, for the tests, the demo and the benchmarks.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use byway_tests::{Agent, Http, Net, Preview, Routes, Running};
//!
//! let net = Net::new()?;
//! let (app, preview, client) = (net.pod("app")?, net.pod("preview")?, net.pod("client")?);
//! let mut server = Running::spawn("app", &mut app.command("my-server"))?;
//! server.wait_listening(8080)?;
//!
//! let routes = Routes::new()
//!     .preview(Preview::new("demo/redesign", "pr-1").backend(&preview))
//!     .target(&app, &[8080], &["demo/redesign"]);
//! let agent = Agent::start(&net, &routes)?;
//!
//! let mut http = Http::new(client.connect((app.ipv4, 8080))?);
//! assert_eq!(http.get("/", &[("x-byway-key", "pr-1")])?.status, 200);
//! # Ok(())
//! # }
//! ```
//!
//! Pods are network namespaces with a veth on the node's bridge, nothing else: cgroups, mounts and
//! processes are those of the machine. Everything is a guard: dropped, it is gone. What a killed process
//! left is removed by the next one that makes a [`Net`].
//!
//! It all needs root; [`needs_root`] says what happens without.

mod agent;
mod app;
mod client;
mod cluster;
mod http;
mod image;
mod ip;
mod kernel;
mod load;
mod net;
mod netns;
mod node_routes;
mod peer;
mod process;
mod programs;
mod routes;
mod scratch;
mod servers;
pub mod shop;
mod spawn;
mod stage;
#[cfg(test)]
mod tests;
mod tun;

pub use agent::{Agent, AgentBuilder};
pub use app::App;
pub use client::{End, Raw, Received};
pub use cluster::{ApiServer, Cluster, ClusterBuilder, Machine, Node, ProxyMode, kube_bin, kube_version};
pub use http::{Http, Response, get};
pub use image::Image;
pub use kernel::{Loaded, agent_listens, dials, netstat};
pub use load::{Load, Outcome, Plan};
pub use net::{Net, Pod};
pub use netns::Netns;
pub use node_routes::{node_routes, status_of, table_of};
pub use peer::{Peer, Seen};
pub use process::{Running, eventually, started_at};
pub use programs::{
    Libraries, Peers, built, cache_dir, envoy, find_program, images, node_modules, target_dir,
};
pub use routes::{Preview, Routes};
pub use scratch::Scratch;
pub use servers::Server;
pub use spawn::tied;
pub use stage::Stage;
pub use tun::FarClient;

/// True if the calling test cannot run for want of root. Says so loudly, and fails where `CI` is set: a test
/// that is always skipped proves nothing.
///
/// # Panics
///
/// Without root, if the environment variable `CI` is set.
#[must_use]
pub fn needs_root() -> bool {
    if nix::unistd::geteuid().is_root() {
        return false;
    }
    assert!(std::env::var_os("CI").is_none(), "this test needs root, and CI is set: run it as root");
    eprintln!("\n!!! SKIPPED: this test needs root (it makes network namespaces)\n");
    true
}
