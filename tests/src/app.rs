//! A server inside the test's own process: as fast as the machine allows, and it can be stopped in all ways.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Pod;
use crate::netns::Handle;

/// A keep-alive server in a pod: says `NAME PEER`, and sends bodies back. It ends when it is dropped; the
/// connections that it has then end after their next request.
#[derive(Debug)]
pub struct App {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<thread::JoinHandle<()>>,
    namespace: Handle,
}

#[derive(Debug)]
struct Shared {
    name: String,
    stop: AtomicBool,
    accepted: AtomicU64,
}

impl App {
    /// Listens at `address`, say `[::]:8080`, which takes IPv4 too.
    ///
    /// # Errors
    ///
    /// When the port is in use.
    pub fn start(pod: &Pod, name: &str, address: &str) -> Result<Self> {
        let wanted: SocketAddr = address.parse()?;
        let listener = pod.run(move || listen(wanted)).with_context(|| format!("{name} at {address}"))?;
        let shared =
            Shared { name: name.to_owned(), stop: AtomicBool::default(), accepted: AtomicU64::default() };
        let shared = Arc::new(shared);
        let address = listener.local_addr()?;
        let acceptor = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Ok(Self { shared, address, acceptor: Some(acceptor), namespace: pod.namespace()? })
    }

    /// Connections so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Relaxed)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        // It waits in accept(2). Loopback reaches every kind of bind but one to another address.
        let (ip, port) = (self.address.ip(), self.address.port());
        let wake = move || {
            let to = if ip.is_unspecified() { [127, 0, 0, 1].into() } else { ip };
            let _ = TcpStream::connect_timeout(&SocketAddr::new(to, port), Duration::from_millis(200));
        };
        while let Some(acceptor) = self.acceptor.take_if(|a| !a.is_finished()) {
            self.namespace.run(wake);
            thread::sleep(Duration::from_millis(5));
            self.acceptor = Some(acceptor);
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, peer)) = listener.accept() {
        if shared.stop.load(Relaxed) {
            return;
        }
        shared.accepted.fetch_add(1, Relaxed);
        let shared = shared.clone();
        let serve = move || {
            // A client that goes away is no news.
            let _ = serve(stream, peer, &shared);
        };
        let _ = thread::Builder::new().stack_size(64 * 1024).spawn(serve);
    }
}

fn serve(mut stream: TcpStream, peer: SocketAddr, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                n => bytes.extend_from_slice(&buffer[..n]),
            }
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let length: usize = length.unwrap_or(0);
        while bytes.len() < head + length {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                n => bytes.extend_from_slice(&buffer[..n]),
            }
        }
        let answer = if length > 0 {
            bytes[head..head + length].to_vec()
        } else {
            format!("{} {peer}", shared.name).into_bytes()
        };
        bytes.drain(..head + length);
        let last = text.contains("connection: close") || shared.stop.load(Relaxed);
        let close = if last { "connection: close\r\n" } else { "" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{close}\r\n", answer.len());
        stream.write_all(&[head.as_bytes(), &answer].concat())?;
        if last {
            return Ok(());
        }
    }
}
