//! The way from the machine into a cluster's network namespace.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use socket2::SockRef;

use crate::Netns;

/// A port of 127.0.0.1 that leads into a namespace. A socket belongs to the namespace in which it was made,
/// whoever uses it: the listener is of the machine, and the thread that accepts and dials is inside.
#[derive(Debug)]
pub(super) struct Forwarder {
    port: u16,
    listener: Arc<TcpListener>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Leads to `to` inside of `netns`.
    pub(super) fn start(netns: &Netns, to: SocketAddr) -> Result<Self> {
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
        let port = listener.local_addr()?.port();
        let ended = Arc::new(AtomicBool::new(false));
        let (accepting, end) = (Arc::clone(&listener), Arc::clone(&ended));
        let thread = netns.thread(move || {
            while !end.load(Ordering::Relaxed) {
                match accepting.accept() {
                    Ok((client, _)) => drop(thread::spawn(move || carry(&client, to))),
                    // Out of descriptors, say: that passes.
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        Ok(Self { port, listener, ended, thread: Some(thread) })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Linux then ends an accept(2) that waits.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Carries bytes both ways until both sides have ended, or one has failed.
fn carry(client: &TcpStream, to: SocketAddr) {
    let Ok(server) = TcpStream::connect_timeout(&to, Duration::from_secs(5)) else {
        return;
    };
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        let how = if io::copy(&mut from, &mut to).is_ok() { Shutdown::Write } else { Shutdown::Both };
        let _ = to.shutdown(how);
        if how == Shutdown::Both {
            let _ = from.shutdown(how);
        }
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &server));
        copy(&server, client);
    });
}
