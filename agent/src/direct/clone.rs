//! A socket of the agent that stands in for the app's: the same client, the same sequence numbers, options and windows, at
//! a port of its own (`TCP_REPAIR`, kernel 3.5).
//!
//! Until it is [let go on](Clone::go_on) it sends nothing, whatever becomes of it: closed before, nobody hears of it.

use std::{
    io,
    net::{SocketAddr, SocketAddrV6, TcpStream},
    os::fd::OwnedFd,
    time::Duration,
};

use byway_abi::{
    DialKey,
    direct::{CLONE_PORTS, Socket as AppSocket},
};
use socket2::{Domain, Socket, TcpKeepalive, Type};

use super::{Direct, Hooks};
use crate::{
    address::unmapped,
    kernel::{OptionBits, sys::monotonic_ns},
    stream::reset_at_death,
    sys::{duplicate_above, set_tcp},
    target::Netns,
};

/// `struct tcp_repair_opt` (linux/tcp.h).
#[repr(C)]
#[derive(Clone, Copy)]
struct RepairOption {
    code: u32,
    value: u32,
}

/// `struct tcp_repair_window`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RepairWindow {
    snd_wl1: u32,
    snd_wnd: u32,
    max_window: u32,
    rcv_wnd: u32,
    rcv_wup: u32,
}

/// Kinds of TCP options.
const MSS: u32 = 2;
const WINDOW_SCALE: u32 = 3;
const SACK_PERMITTED: u32 = 4;
const TIMESTAMPS: u32 = 8;

/// Queues that have sequence numbers (`TCP_REPAIR_QUEUE`).
const NO_QUEUE: i32 = 0;
const RECEIVE: i32 = 1;
const SEND: i32 = 2;

/// As of accepted sockets, see `target::listener`.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// In repair mode still.
pub(super) struct Clone {
    socket: Socket,
    pub(super) port: u16,
}

impl Clone {
    /// `boundary` is where the client's next byte belongs, `sent` behind the last one that the app has sent.
    ///
    /// Its descriptor lies above those of `hooks`. When a process dies the kernel closes its files from the highest
    /// descriptor down: so the clone's reset leaves before the programs go that give it the app's port. The other way
    /// round the client would not hear that it has gone.
    pub(super) fn make(
        netns: &Netns,
        hooks: &Hooks,
        key: &DialKey,
        interface: u32,
        [boundary, sent]: [u32; 2],
        app: &AppSocket,
        direct: &Direct,
    ) -> io::Result<Self> {
        let options = Options::read(app, direct.bits);
        let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for port in CLONE_PORTS {
            // The client has a connection to another port of the pod from the same port of its own, or had just now.
            if direct.tables.conn(&DialKey { local_port: port.into(), ..*key })?.is_some() {
                continue;
            }
            let at = |addr, port| with_scope(SocketAddr::new(unmapped(addr), port), interface);
            let (local, client) = (at(key.local, port), at(key.remote, key.remote_port as u16));
            let made = netns.visit(|| {
                Socket::new(Domain::for_address(local), Type::STREAM.nonblocking().cloexec(), None)
            })??;
            let socket: Socket = duplicate_above(made, hooks.above())?.into();
            set_tcp(&socket, libc::TCP_REPAIR, &[1_i32])?;
            set_seq(&socket, SEND, sent)?;
            set_seq(&socket, RECEIVE, boundary)?;
            set_tcp(&socket, libc::TCP_REPAIR_QUEUE, &[NO_QUEUE])?;
            if let Err(error) = socket.bind(&local.into()).and_then(|()| socket.connect(&client.into())) {
                // Something else of the same client stands there.
                refused = error;
                continue;
            }
            options.apply(&socket)?;
            let window = RepairWindow {
                snd_wl1: boundary.wrapping_sub(1),
                snd_wnd: app.snd_wnd,
                max_window: app.max_window.max(app.snd_wnd),
                // Up to where the app has let the client send.
                rcv_wnd: app.rcv_wup.wrapping_add(app.rcv_wnd).wrapping_sub(boundary),
                rcv_wup: boundary,
            };
            set_tcp(&socket, libc::TCP_REPAIR_WINDOW, &[window])?;
            socket.set_tcp_nodelay(true)?;
            let probes =
                TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 2).with_retries(4);
            socket.set_tcp_keepalive(&probes)?;
            reset_at_death(&socket)?;
            return Ok(Self { socket, port });
        }
        Err(refused)
    }

    /// From here on it is a connection like any other.
    pub(super) fn go_on(self) -> io::Result<TcpStream> {
        const OFF_WITHOUT_PROBE: i32 = -1;
        set_tcp(&self.socket, libc::TCP_REPAIR, &[OFF_WITHOUT_PROBE])?;
        Ok(OwnedFd::from(self.socket).into())
    }
}

fn set_seq(socket: &Socket, queue: i32, seq: u32) -> io::Result<()> {
    set_tcp(socket, libc::TCP_REPAIR_QUEUE, &[queue])?;
    set_tcp(socket, libc::TCP_QUEUE_SEQ, &[seq])
}

/// An address of the pod as a socket there knows it.
pub(super) fn with_scope(address: SocketAddr, interface: u32) -> SocketAddr {
    match address {
        SocketAddr::V6(it) if it.ip().is_unicast_link_local() => {
            SocketAddrV6::new(*it.ip(), it.port(), 0, interface).into()
        }
        other => other,
    }
}

/// What both ends agreed on.
struct Options {
    mss: u32,
    /// For sending in the low half, for receiving in the high one; 0 each where there is none.
    scales: u32,
    sack: bool,
    /// What is added to the clock.
    timestamps: Option<u32>,
}

/// The client's window towards the app, as the client writes it.
pub(super) fn window(app: &AppSocket, bits: OptionBits) -> u16 {
    let scale = Options::read(app, bits).scales & 0xffff;
    u16::try_from(app.snd_wnd >> scale).unwrap_or(u16::MAX)
}

impl Options {
    fn read(app: &AppSocket, at: OptionBits) -> Self {
        let bits = u32::from(u16::from_le_bytes(app.options));
        let has = |bit: u32, width: u32| bits >> bit & ((1 << width) - 1);
        let scales = has(at.send_scale, 4) | has(at.receive_scale, 4) << 16;
        Self {
            mss: app.mss_clamp,
            scales: if has(at.window_scale, 1) == 1 { scales } else { 0 },
            sack: has(at.sack, 3) != 0,
            timestamps: (has(at.timestamps, 1) == 1).then_some(app.tsoffset),
        }
    }

    fn apply(&self, socket: &Socket) -> io::Result<()> {
        let mut options = vec![
            RepairOption { code: MSS, value: self.mss },
            // Also where there is none: else the clone would scale by what it would have offered.
            RepairOption { code: WINDOW_SCALE, value: self.scales },
        ];
        if self.sack {
            options.push(RepairOption { code: SACK_PERMITTED, value: 0 });
        }
        if self.timestamps.is_some() {
            options.push(RepairOption { code: TIMESTAMPS, value: 0 });
        }
        set_tcp(socket, libc::TCP_REPAIR_OPTIONS, &options)?;
        if let Some(offset) = self.timestamps {
            // The lowest bit says that the clock ticks in microseconds.
            let now = (monotonic_ns() / 1_000_000) as u32;
            set_tcp(socket, libc::TCP_TIMESTAMP, &[now.wrapping_add(offset).wrapping_add(1) & !1])?;
        }
        Ok(())
    }
}
