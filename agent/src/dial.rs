//! The agent's own connection to the app, inside the pod's namespace.
//!
//! Every dial is entered into the map DIALS before it is made, so that the steering programs pass it on and the app
//! is told the client's address. A dial whose entry cannot be written is not made.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    sync::Arc,
    time::Duration,
};

use byway_abi::{DialKey, MAX_WORKERS};
use socket2::{Domain, Socket, Type};
use tokio::{net::TcpStream, time::sleep};

use crate::{admission::Admission, tables::mapped, target::Target};

/// Sources tried before giving up.
const TRIES: u32 = 512;
/// Longest single wait for something that has run out.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A connection to the app, and its entry in the map.
pub(crate) struct AppStream {
    pub(crate) stream: TcpStream,
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
///
/// While the node has no descriptor, memory or source to spare it waits a moment: others end meanwhile, and the
/// client, which was accepted already, is not to suffer.
pub(crate) async fn app(
    worker: u32,
    target: &Arc<Target>,
    admission: &Admission,
    client: SocketAddr,
    local: SocketAddr,
) -> io::Result<AppStream> {
    let mut wait = Duration::from_millis(5);
    loop {
        match dial(worker, target, client, local).await {
            Err(error) if is_shortage(&error) && wait < LONGEST_WAIT => {
                admission.exhausted();
                sleep(wait).await;
                wait *= 2;
            }
            done => return done,
        }
    }
}

/// Whether the error says that something of this node has run out, and nothing of the app.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::E2BIG, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

async fn dial(
    worker: u32,
    target: &Arc<Target>,
    client: SocketAddr,
    local: SocketAddr,
) -> io::Result<AppStream> {
    for _ in 0..TRIES {
        let source = source(worker, target, local);
        match connect(target, client, source, local) {
            Ok((socket, entry)) => {
                let stream = TcpStream::from_std(socket.into())?;
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
            Err(e) if matches!(e.raw_os_error(), Some(libc::EADDRINUSE | libc::EADDRNOTAVAIL)) => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))
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
/// one loopback address, so there it walks the ports. Sources of loopback in TIME_WAIT may be used again after a
/// second (`net.ipv4.tcp_tw_reuse` 2, the default since kernel 4.19).
fn source(worker: u32, target: &Target, local: SocketAddr) -> SocketAddr {
    thread_local!(static WALK: Cell<u32> = Cell::new(std::process::id().wrapping_mul(0x9e37_79b9)));
    let step = WALK.replace(WALK.get().wrapping_add(1));
    match local {
        SocketAddr::V4(_) => {
            const PER_WORKER: u32 = (1 << 22) / MAX_WORKERS;
            let host = worker * PER_WORKER + step % PER_WORKER;
            let base = u32::from(Ipv4Addr::new(127, 64, 0, 0));
            SocketAddr::new(IpAddr::V4((base + host).into()), target.dial_port)
        }
        SocketAddr::V6(local) => {
            const FIRST: u32 = 32_768;
            const LAST: u32 = 60_999;
            let per_worker = (LAST - FIRST + 1) / MAX_WORKERS;
            let port = (FIRST + worker * per_worker + step % per_worker) as u16;
            // A link-local address is reached from itself only.
            let link_local = local.ip().is_unicast_link_local();
            let ip = if link_local { *local.ip() } else { Ipv6Addr::LOCALHOST };
            SocketAddrV6::new(ip, port, 0, local.scope_id()).into()
        }
    }
}
