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

use super::super::{Server, ending};

pub(super) struct Wire {
    socket: Socket,
    /// Read before, and not given out yet.
    heard: Bytes,
    /// Of what comes to be written first, how many bytes have been sent before.
    said: usize,
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

impl Wire {
    pub(super) fn client(socket: TcpStream, heard: Vec<u8>) -> Self {
        Self {
            socket: Socket::Client(socket),
            heard: heard.into(),
            said: 0,
            end: Arc::default(),
            farewell: ending::Farewell::default(),
        }
    }

    /// The preface has been sent.
    pub(super) fn server(server: Server, heard: Vec<u8>) -> Self {
        let said = super::PREFACE.len();
        Self {
            socket: Socket::Server(server),
            heard: heard.into(),
            said,
            end: Arc::default(),
            farewell: ending::Farewell::default(),
        }
    }

    pub(super) fn end(&self) -> Arc<End> {
        self.end.clone()
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(match &mut self.socket {
            Socket::Client(stream) => stream,
            Socket::Server(server) => server.stream(),
        })
    }

    /// Pretends to send what has been sent before.
    fn skip(&mut self, len: usize) -> Option<usize> {
        let skipped = self.said.min(len);
        self.said -= skipped;
        (skipped > 0).then_some(skipped)
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        self.end.is_full.store(written.is_pending(), Relaxed);
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
        let read = ready!(self.stream().poll_read(cx, buffer));
        if read.is_err() {
            self.end.was_reset.store(true, Relaxed);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(skipped) = self.skip(bytes.len()) {
            return Poll::Ready(Ok(skipped));
        }
        let written = self.stream().poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(skipped) = self.skip(parts.first().map_or(0, |first| first.len())) {
            return Poll::Ready(Ok(skipped));
        }
        let written = self.stream().poll_write_vectored(cx, parts);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, farewell, .. } = &mut *self;
        match socket {
            Socket::Client(client) => farewell.poll(cx, client).map(Ok),
            Socket::Server(_) => self.stream().poll_shutdown(cx),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.end.reset.load(Relaxed) {
            ending::reset(&self.stream());
        }
    }
}
