//! A connection that others depend on: it ends as the agent says, and with a reset if the agent dies.
//!
//! Without more ado the kernel ends the sockets of a dead process with FIN. A body that ends with its connection would
//! look whole then, and a request without an answer like an empty answer. So each socket is set to be reset from its
//! first moment on (SO_LINGER of zero seconds, socket(7)), and set back only when the agent itself lets go of it: one
//! system call for a connection, none for a request.

use std::{
    io,
    ops::{Deref, DerefMut},
    time::Duration,
};

use socket2::SockRef;
use tokio::net::TcpStream;

#[cfg(test)]
mod tests;

/// Derefs to the socket.
pub(crate) struct Stream {
    socket: TcpStream,
    is_reset: bool,
}

/// Has the kernel end a socket, and those that it accepts, with a reset.
pub(crate) fn reset_at_death<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    socket.into().set_linger(Some(Duration::ZERO))
}

impl Stream {
    /// Of a socket that the agent has opened.
    pub(crate) fn dialled(socket: TcpStream) -> io::Result<Self> {
        reset_at_death(&socket)?;
        Ok(Self::accepted(socket))
    }

    /// Of a socket that is set so already: it has inherited it from its listener, or is a clone.
    pub(crate) const fn accepted(socket: TcpStream) -> Self {
        Self { socket, is_reset: false }
    }

    /// It will end with a reset. What has not been sent yet is thrown away.
    pub(crate) const fn reset(&mut self) {
        self.is_reset = true;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.is_reset && !std::thread::panicking() {
            // It cannot fail on an open socket; and if it did, a reset is what would be seen.
            let _ = SockRef::from(&self.socket).set_linger(None);
        }
    }
}

impl Deref for Stream {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.socket
    }
}

impl DerefMut for Stream {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }
}
