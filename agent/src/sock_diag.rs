//! Which TCP sockets of a namespace listen, and which handshakes are half open: `sock_diag(7)`.
//!
//! Seeds the map that `tp_btf/inet_sock_set_state` then keeps, and tells a detach when it may close.

mod established;

use std::{collections::HashSet, io, net::IpAddr};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

pub(crate) use established::{Established, established};

/// A listening socket.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) v6only: bool,
    pub(crate) uid: u32,
    pub(crate) inode: u32,
}

/// The listening sockets of the calling thread's namespace.
pub(crate) fn listening() -> io::Result<Vec<Listening>> {
    let found = dump(&StateFlags::LISTEN, &ExtensionFlags::empty())?;
    Ok(found
        .into_iter()
        .map(|socket| Listening {
            address: socket.header.socket_id.source_address,
            port: socket.header.socket_id.source_port,
            v6only: socket.nlas.iter().any(|a| matches!(a, Nla::SkV6Only(true))),
            uid: socket.header.uid,
            inode: socket.header.inode,
        })
        .collect())
}

/// A handshake under way: the local end, and the client's.
pub(crate) type Handshake = [(IpAddr, u16); 2];

/// Handshakes for `ports` that are under way in the calling thread's namespace.
pub(crate) fn half_open(ports: &[u16]) -> io::Result<HashSet<Handshake>> {
    let found = dump(&StateFlags::SYN_RECV, &ExtensionFlags::empty())?;
    let ids = found.into_iter().map(|socket| socket.header.socket_id);
    Ok(ids
        .filter(|id| ports.contains(&id.source_port))
        .map(|id| [(id.source_address, id.source_port), (id.destination_address, id.destination_port)])
        .collect())
}

/// TCP sockets of the calling thread's namespace.
fn dump(states: &StateFlags, extensions: &ExtensionFlags) -> io::Result<Vec<InetResponse>> {
    let mut found = Vec::new();
    for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        let (states, extensions) = (states.clone(), extensions.clone());
        let request = InetRequest { family, protocol: IPPROTO_TCP, extensions, states, socket_id };
        dump_family(request, &mut found)?;
    }
    Ok(found)
}

fn dump_family(request: InetRequest, found: &mut Vec<InetResponse>) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;

    let mut buffer = vec![0; 1 << 16];
    loop {
        let len = socket.recv(&mut &mut buffer[..], 0)?;
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            let end = (message.header.length as usize).next_multiple_of(4).min(rest.len());
            rest = &rest[end..];
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => found.push(*socket),
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(e) => return Err(e.to_io()),
                _ => {}
            }
        }
    }
}
