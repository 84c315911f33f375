//! The agent's own connection to the app, inside the pod's namespace.
//!
//! Every dial is entered into the map DIALS before it is made, so that the steering programs pass it on and the app
//! is told the client's address. A dial whose entry cannot be written is not made.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6},
    sync::Arc,
    time::{Duration, Instant},
};

use byway_abi::{DialKey, MAX_WORKERS};
use socket2::{Domain, Socket, Type};
use tokio::{net::TcpStream, time::sleep};

use crate::{
    address::mapped,
    admission::{Admission, is_exhausted},
    stream::Stream,
    target::Target,
};

/// Sources tried before giving up.
const TRIES: u32 = 512;
/// How long a dial waits for a descriptor or memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the app, and its entry in the map.
pub(crate) struct AppStream {
    pub(crate) stream: Stream,
    _entry: Entry,
}

/// An entry in the map DIALS, removed when it is dropped.
///
/// It stands as long as the connection: a SYN cookie's last ACK is looked up like a new connection.
struct Entry {
    target: Arc<Target>,
    key: DialKey,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.target.tables.undial(&self.key);
    }
}

/// Connects to `local`, the address that the client wanted, in the name of `client`.
pub(crate) async fn app(
    worker: u32,
    target: &Arc<Target>,
    client: SocketAddr,
    local: SocketAddr,
    admission: &Admission,
) -> io::Result<AppStream> {
    let begun = Instant::now();
    let mut tries = 0..TRIES;
    while let Some(n) = tries.next() {
        let source = source(worker, target, local, n);
        match connect(target, client, source, local) {
            Err(e) if is_exhausted(&e) && begun.elapsed() < PATIENCE => {
                admission.exhausted();
                sleep(Duration::from_millis(10)).await;
                tries = 0..TRIES;
            }
            Ok((socket, entry)) => {
                let stream = Stream::dialled(TcpStream::from_std(socket.into())?)?;
                // A connect within one namespace has come to its end when the call returns; only a full backlog
                // of the app makes it wait.
                if stream.peer_addr().is_err() {
                    stream.writable().await?;
                    if let Some(error) = stream.take_error()? {
                        return Err(error);
                    }
                }
                return Ok(AppStream { stream, _entry: entry });
            }
            Err(e)
                if matches!(
                    e.raw_os_error(),
                    Some(libc::EADDRINUSE | libc::EADDRNOTAVAIL | libc::EEXIST)
                ) => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no source address is free for a dial of the app"))
}

fn connect(
    target: &Arc<Target>,
    client: SocketAddr,
    source: SocketAddr,
    local: SocketAddr,
) -> io::Result<(Socket, Entry)> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = target.netns.visit(|| Socket::new(Domain::for_address(local), kind, None))??;
    socket.set_reuse_address(true)?;
    socket.bind(&source.into())?;
    let source = match source.port() {
        0 => socket.local_addr()?.as_socket().unwrap_or(source),
        _ => source,
    };
    let key = DialKey {
        ns: target.ns,
        remote: mapped(source.ip()),
        local: mapped(local.ip()),
        remote_port: source.port().into(),
        local_port: local.port().into(),
    };
    target.tables.dial(&key, client)?;
    let entry = Entry { target: target.clone(), key };
    match socket.connect(&local.into()) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => {
            socket.set_tcp_nodelay(true)?;
            Ok((socket, entry))
        }
    }
}

/// The next source, walked by the agent itself: the kernel's own choice takes milliseconds once many sources are in
/// TIME_WAIT.
///
/// IPv4 walks addresses of 127.64.0.0/10 at one port below 1024, so no dial takes a port that the app's own
/// `connect` or `bind` could want, and a source in TIME_WAIT comes round only after half a million others. IPv6 has
/// one loopback address, and what comes from it for a socket in TIME_WAIT draws no reset: there the source is the
/// address called, and the ports are walked. Either way a source in TIME_WAIT may be used again after a second or two
/// (`net.ipv4.tcp_tw_reuse` 2, the default since kernel 4.19).
///
/// After half of its `tries` the choice is the kernel's: the app may listen on the agent's port by now, or have most
/// of the walked ones in use.
fn source(worker: u32, target: &Target, local: SocketAddr, tries: u32) -> SocketAddr {
    thread_local!(static WALK: Cell<u32> = Cell::new(std::process::id().wrapping_mul(0x9e37_79b9)));
    let step = WALK.replace(WALK.get().wrapping_add(1));
    match local {
        SocketAddr::V4(_) => {
            const PER_WORKER: u32 = (1 << 22) / MAX_WORKERS;
            let host = worker * PER_WORKER + step % PER_WORKER;
            let base = u32::from(Ipv4Addr::new(127, 64, 0, 0));
            let port = if tries < TRIES / 2 { target.dial_port } else { 0 };
            SocketAddr::new(IpAddr::V4((base + host).into()), port)
        }
        SocketAddr::V6(local) => {
            const FIRST: u32 = 32_768;
            const LAST: u32 = 60_999;
            let per_worker = (LAST - FIRST + 1) / MAX_WORKERS;
            let walked = (FIRST + worker * per_worker + step % per_worker) as u16;
            let port = if tries < TRIES / 2 { walked } else { 0 };
            SocketAddrV6::new(*local.ip(), port, 0, local.scope_id()).into()
        }
    }
}
