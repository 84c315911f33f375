//! How long the app bears a client that has gone silent. The agent is the client's peer in its place, and bears it as
//! long: a client that has vanished ends for the app when it would without the agent.
//!
//! Apps say so by keepalive and `TCP_USER_TIMEOUT` (socket(7), tcp(7)), on their listener or on what they accept, and
//! tell nobody. So their sockets are looked at, one for each port, by a copy of its descriptor (pidfd_getfd(2), kernel
//! 5.6). An accepted one says more than the listener; the first is there when the first client was.

use std::{collections::HashMap, fs, io, os::fd::AsFd, path::Path, time::Duration};

use socket2::{SockRef, TcpKeepalive};

use super::{
    Netns,
    netns::{id_at, path_of},
};
use crate::{
    sock_diag::{Listening, established, listening},
    sys,
};

/// Of one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patience {
    keepalive: Option<Keepalive>,
    user_timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Keepalive {
    time: Duration,
    interval: Duration,
    retries: u32,
}

impl Patience {
    fn of(socket: impl AsFd) -> io::Result<Self> {
        let socket = SockRef::from(&socket);
        let keepalive = socket.keepalive()?.then(|| {
            Ok::<_, io::Error>(Keepalive {
                time: socket.tcp_keepalive_time()?,
                interval: socket.tcp_keepalive_interval()?,
                retries: socket.tcp_keepalive_retries()?,
            })
        });
        Ok(Self { keepalive: keepalive.transpose()?, user_timeout: socket.tcp_user_timeout()? })
    }

    /// Has the kernel bear the peer of this socket as long. What the app leaves to the kernel stays as it is.
    pub(crate) fn set(&self, socket: impl AsFd) -> io::Result<()> {
        let socket = SockRef::from(&socket);
        if let Some(Keepalive { time, interval, retries }) = self.keepalive {
            let probes = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
            socket.set_tcp_keepalive(&probes)?;
        }
        if let Some(timeout) = self.user_timeout {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        Ok(())
    }
}

/// Looks at the app's sockets of `ports`. What a port's are that nothing was found of is not in it.
pub(crate) fn look(netns: &Netns, ports: &[u16]) -> io::Result<HashMap<u16, Patience>> {
    let (listening, accepted) = netns.run(|| Ok((listening()?, established(ports)?)))?;
    let listeners = listening.iter().filter(|it| ports.contains(&it.port));
    let listeners =
        listeners.map(|Listening { inode, port, .. }| (*inode, Socket { port: *port, is_accepted: false }));
    let accepted = accepted.iter().map(|it| (it.inode, Socket { port: it.port(), is_accepted: true }));
    let wanted: HashMap<u32, Socket> = listeners.chain(accepted).collect();
    let mut found: HashMap<u16, (Socket, Patience)> = HashMap::new();
    for pid in pids_in(netns) {
        // Who has ended meanwhile has none, and neither have those that may not be looked at.
        for fd in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Some(socket) = inode_of(&fd.path()).and_then(|inode| wanted.get(&inode)) else { continue };
            if found.get(&socket.port).is_some_and(|(before, _)| before.is_accepted || !socket.is_accepted) {
                continue;
            }
            let Some(number) = fd.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            match sys::descriptor_of(pid, number).and_then(Patience::of) {
                Ok(patience) => drop(found.insert(socket.port, (*socket, patience))),
                Err(error) => tracing::debug!(%error, pid, "cannot look at a socket of the app"),
            }
        }
    }
    Ok(found.into_iter().map(|(port, (_, patience))| (port, patience)).collect())
}

/// A socket of the app.
#[derive(Clone, Copy)]
struct Socket {
    port: u16,
    is_accepted: bool,
}

/// Processes in the namespace: the app's, whatever containers they are in.
fn pids_in(netns: &Netns) -> impl Iterator<Item = u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| id_at(&path_of(*pid)) == Some(netns.id))
}

/// Of the socket that a descriptor is.
fn inode_of(descriptor: &Path) -> Option<u32> {
    let target = fs::read_link(descriptor).ok()?;
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}
