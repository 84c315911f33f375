//! The agent's listening sockets inside a pod's namespace.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::{fd::AsFd, unix::fs::fchown},
};

use socket2::{Domain, Socket, Type};

use crate::stream::reset_at_death;

/// Reserved (RFC 1112) and routed nowhere: nobody can reach the listener but through the steering program.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 1);
const BACKLOG: i32 = 4096;
/// The user that the agent runs as.
const OWN_UID: u32 = 0;

/// Opens a listener in the calling thread's namespace.
///
/// AF_INET6 on a mapped address takes both families. With SO_REUSEADDR and SO_REUSEPORT and the app's user, the
/// sockets that it accepts, which lie on the app's port, do not keep the app from binding that port again.
pub(crate) fn open(port: u16, uid: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_only_v6(false)?;
    socket.set_freebind_v4(true)?; // the bind of a mapped address is checked as IPv4
    socket.set_freebind_v6(true)?;
    socket.set_tcp_nodelay(true)?; // accepted sockets inherit it
    // A client that vanished without a word must end some time: where the app does not say when ([`super::patience`]),
    // when the kernel thinks right, which is after two hours.
    socket.set_keepalive(true)?;
    reset_at_death(&socket)?; // this one, too
    own(&socket, uid);
    let address: Ipv6Addr = ADDRESS.to_ipv6_mapped();
    socket.bind(&SocketAddr::from((address, port)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Gives a socket to the app's user, see [`open`]. Without CAP_CHOWN the app's workers may find their port in use
/// while connections are open, which is said once and is no reason not to serve.
pub(crate) fn own(socket: impl AsFd, uid: u32) {
    static SAID: std::sync::Once = std::sync::Once::new();
    if uid == OWN_UID {
        return; // it is so from the start
    }
    if let Err(error) = fchown(socket, Some(uid), None) {
        SAID.call_once(
            || tracing::warn!(%error, uid, "cannot give sockets to the app's user: grant CAP_CHOWN"),
        );
    }
}
