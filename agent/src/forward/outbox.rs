//! Reading and writing without a buffer of one's own: bytes are read into the thread's scratch and written on from
//! there; only what the other side does not take at once is kept, and then nothing more is read. So an idle
//! connection holds no buffer, and a busy one at most one scratch full each way.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::splice::Pipe;

/// Size of the scratch of a thread.
pub(super) const SCRATCH: usize = 64 * 1024;

thread_local!(static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) });

/// The thread's scratch, for as long as this lives.
pub(super) struct Scratch(Option<Box<[u8]>>);

impl Scratch {
    pub(super) fn take() -> Self {
        Self(Some(BUFFER.take().unwrap_or_else(|| vec![0; SCRATCH].into())))
    }

    /// Reads what is there; an empty slice is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
    ) -> Poll<io::Result<&[u8]>> {
        let Some(bytes) = &mut self.0 else { return Poll::Pending };
        let mut buffer = ReadBuf::new(bytes);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        let len = buffer.filled().len();
        Poll::Ready(Ok(&bytes[..len]))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        BUFFER.set(self.0.take());
    }
}

/// What one side has not taken yet: bytes, and behind them what a pipe holds.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    pipe: Option<Pipe>,
}

impl Outbox {
    /// One in which `bytes` wait.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.pipe.is_none()
    }

    /// Moves at most `most` bytes from one side towards the other without a copy; how many, 0 at the end. To be
    /// called when nothing waits.
    pub(super) fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        let mut pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => Pipe::take()?,
        };
        let moved = pipe.poll_fill(cx, from, most);
        match moved {
            Poll::Ready(Ok(1..)) => self.pipe = Some(pipe),
            _ => pipe.give_back(),
        }
        moved
    }

    /// Writes the parts, in order, behind what waits already; keeps what is not taken.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut TcpStream,
        parts: &[&[u8]],
    ) -> io::Result<()> {
        let mut taken = 0;
        if self.is_empty() && !parts.iter().all(|p| p.is_empty()) {
            let written = match parts {
                [one] => Pin::new(to).poll_write(cx, one),
                _ => {
                    let mut slices = [IoSlice::new(&[]); 4];
                    slices.iter_mut().zip(parts).for_each(|(slice, part)| *slice = IoSlice::new(part));
                    Pin::new(to).poll_write_vectored(cx, &slices)
                }
            };
            if let Poll::Ready(n) = written {
                taken = n?;
            }
        }
        for part in parts {
            let skip = taken.min(part.len());
            taken -= skip;
            self.bytes.extend_from_slice(&part[skip..]);
        }
        Ok(())
    }

    /// Writes until nothing waits.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            self.sent += ready!(Pin::new(&mut *to).poll_write(cx, &self.bytes[self.sent..]))?;
        }
        if let Some(pipe) = &mut self.pipe {
            ready!(pipe.poll_drain(cx, to))?;
        }
        if let Some(pipe) = std::mem::take(self).pipe {
            pipe.give_back(); // an idle connection keeps neither buffer nor pipe
        }
        Poll::Ready(Ok(()))
    }
}
