//! Addresses. A cluster with nodes has network namespaces of its own without a way out, so all such clusters
//! use the same.
//!
//! The control plane's namespace has a bridge; each node is a namespace on it, and routes to the nodes' pods
//! lead over it:
//!
//! | | IPv4 | IPv6 |
//! |---|---|---|
//! | control plane | 10.99.0.254 | fd99::fe |
//! | node N, from 0 | 10.99.0.N+1 | fd99::N+1 |
//! | its pods | 10.244.N+1.0/24 | fd44:N+1::/64 |
//! | Services | 10.96.0.0/16 | fd96::/112 |

use std::fs;
use std::io;

use anyhow::{Result, ensure};

use crate::{Netns, ip};

pub(super) const CONTROL_V4: &str = "10.99.0.254";
pub(super) const CONTROL_V6: &str = "fd99::fe";
/// Of the API server, as nodes and pods see it.
pub(super) const API_PORT: u16 = 6443;
pub(super) const SERVICES: &str = "10.96.0.0/16,fd96::/112";
/// The first of [`SERVICES`] is the API server's own.
pub(super) const API_SERVICE: &str = "10.96.0.1";
pub(super) const PODS: &str = "10.244.0.0/16,fd44::/16";
/// One byte of the addresses tells the node.
pub(super) const MAX_NODES: usize = 100;

/// What is a node's alone.
#[derive(Clone, Debug)]
pub(super) struct NodeNetwork {
    number: usize,
    pub(super) ipv4: String,
    pub(super) ipv6: String,
    pub(super) pods_v4: String,
    pub(super) pods_v6: String,
}

impl NodeNetwork {
    pub(super) fn new(index: usize) -> Result<Self> {
        ensure!(index < MAX_NODES, "a test cluster has at most {MAX_NODES} nodes");
        let number = index + 1;
        Ok(Self {
            number,
            ipv4: format!("10.99.0.{number}"),
            ipv6: format!("fd99::{number}"),
            pods_v4: format!("10.244.{number}.0/24"),
            pods_v6: format!("fd44:{number}::/64"),
        })
    }

    /// Connects a node to the control plane's bridge.
    pub(super) fn connect(&self, node: &Netns, control: &Netns) -> Result<()> {
        let Self { number, ipv4, ipv6, pods_v4, pods_v6 } = self;
        ip::batch(
            control,
            &format!(
                "link add node{number} type veth peer name eth0 netns {}\n\
                 link set node{number} master br0 up\n\
                 route add {pods_v4} via {ipv4}\n\
                 route add {pods_v6} via {ipv6}\n",
                node.path().display()
            ),
        )?;
        ip::batch(
            node,
            &format!(
                "link set lo up\n\
                 addr add {ipv4}/24 dev eth0\n\
                 addr add {ipv6}/64 dev eth0 nodad\n\
                 link set eth0 up\n\
                 route add default via {CONTROL_V4}\n\
                 route add default via {CONTROL_V6}\n"
            ),
        )?;
        node.run(|| {
            // A Service that a pod calls may be served by a pod beside it, on the same bridge. Only there if the
            // kernel's module is, and then needed only there.
            for family in ["ip", "ip6"] {
                let _ = fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables"), "1");
            }
            forward_packets()
        })?;
        Ok(())
    }
}

/// Makes the control plane's side.
pub(super) fn make_bridge(control: &Netns) -> Result<()> {
    ip::batch(
        control,
        &format!(
            "link set lo up\n\
             link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             addr add {CONTROL_V4}/24 dev br0\n\
             addr add {CONTROL_V6}/64 dev br0 nodad\n\
             link set br0 up\n"
        ),
    )?;
    Ok(control.run(forward_packets)?)
}

fn forward_packets() -> io::Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
}
