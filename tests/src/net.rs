//! A node with a bridge, and pods on it.

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::netns::Handle;
use crate::{Netns, ip};

/// A node: a network namespace with a bridge. It has no way out, so every [`Net`] uses the same addresses.
///
/// The agent runs in the node's namespace and reaches each pod from there.
#[derive(Debug)]
pub struct Net {
    node: Netns,
    pods: AtomicU16,
}

/// A pod: a network namespace with `eth0` on the node's bridge, and both address families.
#[derive(Debug)]
pub struct Pod {
    /// As given to [`Net::pod`].
    pub name: String,
    /// On the pod network, 10.77.0.0/16.
    pub ipv4: Ipv4Addr,
    /// On the pod network, fd77::/64.
    pub ipv6: Ipv6Addr,
    netns: Netns,
}

impl Net {
    /// The node's own address on the pod network.
    pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    /// The node's own address on the pod network.
    pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);

    /// Makes a node without pods.
    ///
    /// # Errors
    ///
    /// Without root, or without `ip`.
    pub fn new() -> Result<Self> {
        let node = Netns::new("node")?;
        ip::batch(
            &node,
            &format!(
                "link set lo up\n\
                 link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
                 addr add {}/16 dev br0\n\
                 addr add {}/64 dev br0 nodad\n\
                 link set br0 up\n",
                Self::GATEWAY_V4,
                Self::GATEWAY_V6
            ),
        )?;
        Ok(Self { node, pods: AtomicU16::new(2) })
    }

    /// The node's namespace.
    pub fn node(&self) -> &Netns {
        &self.node
    }

    /// The node's name for its agents, another one for each [`Net`]: agents of one node share maps, and tests
    /// that run side by side share a kernel.
    pub fn node_name(&self) -> &str {
        self.node.path().file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default()
    }

    /// Makes a pod.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn pod(&self, name: &str) -> Result<Pod> {
        self.pods([name]).map(|[pod]| pod)
    }

    /// Makes many pods, in about a fourth of the time that [`Net::pod`] would need.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn pods<const N: usize>(&self, names: [impl Into<String>; N]) -> Result<[Pod; N]> {
        let mut pods = Vec::with_capacity(N);
        let mut links = String::new();
        for name in names {
            let name = name.into();
            let n = self.pods.fetch_add(1, Ordering::Relaxed);
            let [high, low] = n.to_be_bytes();
            let pod = Pod {
                ipv4: Ipv4Addr::new(10, 77, high, low),
                ipv6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, n),
                netns: Netns::new(&name)?,
                name,
            };
            writeln!(links, "link add v{n} type veth peer name eth0 netns {}", pod.netns().display())?;
            writeln!(links, "link set v{n} master br0 up")?;
            pods.push(pod);
        }
        ip::batch(&self.node, &links)?;
        for pod in &pods {
            pod.configure()?;
        }
        pods.try_into().map_err(|_| anyhow!("each name makes one pod"))
    }
}

impl Pod {
    /// The path of its network namespace.
    pub fn netns(&self) -> &Path {
        self.netns.path()
    }

    /// Another handle to its namespace, which it may outlive.
    pub(crate) fn namespace(&self) -> io::Result<Handle> {
        self.netns.handle()
    }

    /// The namespace itself.
    #[must_use]
    pub fn as_netns(&self) -> &Netns {
        &self.netns
    }

    /// Its addresses, as the API server lists them.
    pub fn ips(&self) -> [IpAddr; 2] {
        [self.ipv4.into(), self.ipv6.into()]
    }

    /// See [`Netns::command`].
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.netns.command(program)
    }

    /// See [`Netns::run`].
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        self.netns.run(f)
    }

    /// See [`Netns::thread`].
    pub fn thread<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.netns.thread(f)
    }

    /// Connects from this pod.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect_timeout`], after 5 seconds at the latest.
    pub fn connect(&self, to: impl Into<SocketAddr>) -> io::Result<TcpStream> {
        let to = to.into();
        let stream = self.run(move || TcpStream::connect_timeout(&to, Duration::from_secs(5)))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn configure(&self) -> Result<()> {
        ip::batch(
            &self.netns,
            &format!(
                "link set lo up\n\
                 addr add {}/16 dev eth0\n\
                 addr add {}/64 dev eth0 nodad\n\
                 link set eth0 up\n\
                 route add default via {}\n\
                 route add default via {}\n",
                self.ipv4,
                self.ipv6,
                Net::GATEWAY_V4,
                Net::GATEWAY_V6
            ),
        )
    }
}
