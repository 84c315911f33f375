//! A socket as the library takes it: with the bytes that were read before, and without those that were sent.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    super::{connection::Server, ending},
    bulk::{Ahead, Behind},
};

pub(super) struct Wire {
    socket: Socket,
    /// Read before, and not given out yet.
    heard: Bytes,
    /// Of what comes to be written first, how many bytes have been sent before.
    said: usize,
    ahead: Ahead,
    behind: Behind,
    end: Arc<End>,
    farewell: ending::Farewell,
}

enum Socket {
    Client(TcpStream),
    Server(Server),
}

/// How a connection ends, for those who do not hold it.
#[derive(Default)]
pub(super) struct End {
    /// The other side has reset it.
    was_reset: AtomicBool,
    /// It is to be closed by a reset.
    reset: AtomicBool,
    /// It took not all that was written.
    is_full: AtomicBool,
}

impl End {
    pub(super) fn was_reset(&self) -> bool {
        self.was_reset.load(Relaxed)
    }

    pub(super) fn close_by_reset(&self) {
        self.reset.store(true, Relaxed);
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Relaxed)
    }
}

impl Socket {
    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(match self {
            Self::Client(stream) => stream,
            Self::Server(server) => server.stream(),
        })
    }
}

impl Wire {
    pub(super) fn client(socket: TcpStream, heard: Vec<u8>) -> Self {
        Self::new(Socket::Client(socket), heard, 0)
    }

    /// The preface has been sent.
    pub(super) fn server(server: Server, heard: Vec<u8>) -> Self {
        Self::new(Socket::Server(server), heard, super::PREFACE.len())
    }

    fn new(socket: Socket, heard: Vec<u8>, said: usize) -> Self {
        let (ahead, behind, end, farewell) = Default::default();
        Self { socket, heard: heard.into(), said, ahead, behind, end, farewell }
    }

    pub(super) fn end(&self) -> Arc<End> {
        self.end.clone()
    }

    /// Pretends to send what has been sent before.
    fn skip(&mut self, len: usize) -> Option<usize> {
        let skipped = self.said.min(len);
        self.said -= skipped;
        (skipped > 0).then_some(skipped)
    }

    fn note<T>(&self, written: &Poll<io::Result<T>>) {
        self.end.is_full.store(written.is_pending() || !self.behind.is_empty(), Relaxed);
    }

    /// Writes what waited for this turn.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.behind.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let drained = self.behind.poll_drain(cx, self.socket.stream());
        self.note(&drained);
        if matches!(drained, Poll::Ready(Err(_))) {
            // Of whoever is told of a reset by a write, reading tells nothing any more.
            self.end.was_reset.store(true, Relaxed);
        }
        drained
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.heard.is_empty() {
            let len = self.heard.len().min(buffer.remaining());
            buffer.put_slice(&self.heard[..len]);
            self.heard.advance(len);
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        let wire = &mut *self;
        let read = ready!(wire.ahead.poll_read(cx, wire.socket.stream(), buffer));
        if read.is_err() {
            self.end.was_reset.store(true, Relaxed);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(skipped) = self.skip(parts.first().map_or(0, |first| first.len())) {
            return Poll::Ready(Ok(skipped));
        }
        let wire = &mut *self;
        let written = wire.behind.poll_write(cx, wire.socket.stream(), parts);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        let flushed = wire.behind.poll_flush(cx, wire.socket.stream());
        self.note(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        let Self { socket, farewell, .. } = &mut *self;
        match socket {
            Socket::Client(client) => farewell.poll(cx, client).map(Ok),
            Socket::Server(_) => socket.stream().poll_shutdown(cx),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.behind.last_words(&self.socket.stream());
        if self.end.reset.load(Relaxed) {
            ending::reset(&self.socket.stream());
        }
    }
}
