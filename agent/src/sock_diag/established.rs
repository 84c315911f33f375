//! Connections that stand, and how idle they are: `sock_diag(7)`. And closing them (`SOCK_DESTROY`, kernel 4.9, with
//! CONFIG_INET_DIAG_DESTROY; needs CAP_NET_ADMIN).

use std::{io, net::IpAddr};

use byway_abi::DialKey;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _,
};
use netlink_packet_sock_diag::{
    SockDiagDestroy, SockDiagMessage,
    constants::IPPROTO_TCP,
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use super::dump;
use crate::address::mapped;

/// Of linux/inet_diag.h.
const INET_DIAG_MD5SIG: u16 = 18;
const INET_DIAG_ULP_INFO: u16 = 19;

/// A connection that somebody has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Established {
    id: SocketId,
    family: u8,
    pub(crate) inode: u32,
    recv_queue: u32,
    send_queue: u32,
    times: Option<Times>,
    is_plain: bool,
}

/// Of `struct tcp_info` (linux/tcp.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    /// Packets sent that are not acknowledged.
    unacked: u32,
    /// Since data were sent last, in milliseconds.
    sent: u32,
    /// Since data came last, in milliseconds.
    received: u32,
    bytes_acked: u64,
    bytes_received: u64,
    /// Packets with data.
    packets_sent: u32,
}

/// Connections to `ports` that somebody has accepted in the calling thread's namespace. One that waits to be accepted
/// has no inode, and belongs to nobody yet.
pub(crate) fn established(ports: &[u16]) -> io::Result<Vec<Established>> {
    let found = dump(&StateFlags::ESTABLISHED, &ExtensionFlags::INFO)?;
    let here = |it: &InetResponse| ports.contains(&it.header.socket_id.source_port) && it.header.inode != 0;
    let found = found.into_iter().filter(here).map(|it| Established {
        times: it.nlas.iter().find_map(|nla| match nla {
            Nla::TcpInfo(bytes) => Times::read(bytes),
            _ => None,
        }),
        is_plain: !it.nlas.iter().any(|nla| matches!(nla.kind(), INET_DIAG_MD5SIG | INET_DIAG_ULP_INFO)),
        family: it.header.family,
        inode: it.header.inode,
        recv_queue: it.header.recv_queue,
        send_queue: it.header.send_queue,
        id: it.header.socket_id,
    });
    Ok(found.collect())
}

impl Established {
    /// As the maps have it.
    pub(crate) fn key(&self, ns: u64) -> DialKey {
        DialKey {
            ns,
            remote: mapped(self.id.destination_address),
            local: mapped(self.id.source_address),
            remote_port: self.id.destination_port.into(),
            local_port: self.id.source_port.into(),
        }
    }

    /// Whether all that there is to it is TCP: neither MPTCP nor TLS of the kernel, nor signatures. Those are told to
    /// whoever has CAP_NET_ADMIN.
    pub(crate) const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The local one.
    pub(crate) const fn port(&self) -> u16 {
        self.id.source_port
    }

    /// Both ends, the local one first.
    pub(crate) fn ends(&self) -> [IpAddr; 2] {
        [self.id.source_address.to_canonical(), self.id.destination_address.to_canonical()]
    }

    /// Whether nothing is under way on it, and nothing was for a second.
    pub(crate) fn is_quiet(&self) -> bool {
        self.recv_queue == 0 && self.send_queue == 0 && self.times.is_some_and(Times::are_quiet)
    }

    /// Whether neither side has said anything yet.
    pub(crate) fn is_unused(&self) -> bool {
        self.times.is_some_and(|it| it.bytes_received == 0 && it.packets_sent == 0)
    }

    /// Bytes that have come, and bytes that have gone and were acknowledged, since some time in the past.
    pub(crate) fn bytes(&self) -> Option<[u64; 2]> {
        self.times.map(|it| [it.bytes_received, it.bytes_acked])
    }

    /// Closes it: both ends see a reset.
    pub(crate) fn destroy(&self) -> io::Result<()> {
        let request = InetRequest {
            family: self.family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::ESTABLISHED,
            socket_id: self.id.clone(),
        };
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK;
        let order = SockDiagDestroy::new(SockDiagMessage::InetRequest(request));
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(order));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        socket.send(&bytes, 0)?;
        let mut answer = vec![0; 4096];
        let len = socket.recv(&mut &mut answer[..], 0)?;
        let answer =
            NetlinkMessage::<SockDiagMessage>::deserialize(&answer[..len]).map_err(io::Error::other)?;
        match answer.payload {
            NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
            _ => Ok(()),
        }
    }
}

impl Times {
    /// `None` when the kernel's is shorter than any that is known.
    fn read(tcp_info: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(*tcp_info.get(at..)?.first_chunk()?));
        let double = |at: usize| Some(u64::from_ne_bytes(*tcp_info.get(at..)?.first_chunk()?));
        Some(Self {
            unacked: word(24)?,
            sent: word(44)?,
            received: word(52)?,
            bytes_acked: double(120)?,
            bytes_received: double(128)?,
            packets_sent: word(156)?,
        })
    }

    fn are_quiet(self) -> bool {
        const SILENT: u32 = 1000;
        self.unacked == 0 && self.sent.min(self.received) >= SILENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_is_a_second_without_a_word() {
        let quiet =
            |unacked, sent, received| Times { unacked, sent, received, ..Times::default() }.are_quiet();
        assert!(quiet(0, 1000, 1004));
        assert!(!quiet(0, 999, 60_000) && !quiet(0, 60_000, 999) && !quiet(1, 2000, 2000));
    }

    #[test]
    fn tcp_info_is_read_where_the_kernel_writes_it() {
        let mut bytes = [0; 160];
        for (at, value) in [(24, 1), (44, 2), (52, 3), (120, 4), (128, 5), (156, 6)] {
            bytes[at] = value;
        }
        let times =
            Times { unacked: 1, sent: 2, received: 3, bytes_acked: 4, bytes_received: 5, packets_sent: 6 };
        assert_eq!(Times::read(&bytes), Some(times));
        assert_eq!(Times::read(&bytes[..156]), None);
    }
}
