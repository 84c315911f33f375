//! Connections that stand, and how idle they are: `sock_diag(7)`. And closing them (`SOCK_DESTROY`, kernel 4.9, with
//! CONFIG_INET_DIAG_DESTROY; needs CAP_NET_ADMIN).

use std::{io, net::IpAddr};

use byway_abi::DialKey;
use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagDestroy, SockDiagMessage,
    constants::IPPROTO_TCP,
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use super::listening::dump;
use crate::tables::mapped;

/// A connection that somebody has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Established {
    id: SocketId,
    family: u8,
    pub(crate) inode: u32,
    recv_queue: u32,
    send_queue: u32,
    times: Option<Times>,
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
    /// Since anything was acknowledged last, in milliseconds.
    acked: u32,
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

    /// Both ends, the local one first.
    pub(crate) fn ends(&self) -> [IpAddr; 2] {
        [self.id.source_address.to_canonical(), self.id.destination_address.to_canonical()]
    }

    /// Whether nothing is under way on it, as far as TCP can tell.
    pub(crate) fn is_idle(&self) -> bool {
        self.recv_queue == 0 && self.send_queue == 0 && self.times.is_some_and(Times::are_idle)
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
        Some(Self {
            unacked: word(24)?,
            sent: word(44)?,
            received: word(52)?,
            acked: word(56)?,
            bytes_received: u64::from_ne_bytes(*tcp_info.get(128..)?.first_chunk()?),
            packets_sent: word(156)?,
        })
    }

    /// Silent for a second, and the last word was the server's: a request that came after that is being worked on, for
    /// however long.
    ///
    /// The kernel's clock ticks every few milliseconds. Where the last request and the last answer came within one tick,
    /// an acknowledgement that came later is one of the answer, for a request acknowledges what came before it. Without
    /// that nobody can tell which was first, and only a longer silence says that nothing is owed.
    fn are_idle(self) -> bool {
        const SILENT: u32 = 1000;
        const SILENT_FOR_LONG: u32 = 5000;
        let silence = self.sent.min(self.received);
        let needed = if self.bytes_received == 0 {
            SILENT
        } else if self.packets_sent == 0 || self.sent > self.received {
            return false;
        } else if self.sent < self.received || self.acked < self.received {
            SILENT
        } else {
            SILENT_FOR_LONG
        };
        self.unacked == 0 && silence >= needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_who_was_answered_and_then_silent() {
        let answered = Times { bytes_received: 1, packets_sent: 1, ..Times::default() };
        let idle = |sent, received, acked| Times { sent, received, acked, ..answered }.are_idle();
        assert!(idle(1000, 1004, 1000));
        assert!(!idle(999, 1004, 999), "just answered");
        assert!(!idle(60_000, 2000, 2000), "a request that is not answered yet");
        // Within one tick of the clock.
        assert!(idle(2000, 2000, 1960), "the answer was acknowledged later");
        assert!(!idle(2000, 2000, 2000) && idle(5000, 5000, 5000));
        let silent = Times { sent: 2000, received: 2000, acked: 2000, ..Times::default() };
        assert!(silent.are_idle(), "never used");
        assert!(
            !Times { sent: 9000, received: 9000, packets_sent: 0, ..answered }.are_idle(),
            "never answered"
        );
        assert!(!Times { unacked: 1, sent: 2000, received: 3000, ..answered }.are_idle());
    }

    #[test]
    fn tcp_info_is_read_where_the_kernel_writes_it() {
        let mut bytes = [0; 160];
        for (at, value) in [(24, 1), (44, 2), (52, 3), (56, 4), (128, 5), (156, 6)] {
            bytes[at] = value;
        }
        let times = Times { unacked: 1, sent: 2, received: 3, acked: 4, bytes_received: 5, packets_sent: 6 };
        assert_eq!(Times::read(&bytes), Some(times));
        assert_eq!(Times::read(&bytes[..156]), None);
    }
}
