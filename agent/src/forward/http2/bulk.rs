//! Bulk in few system calls. The library reads 8 KiB at a time and writes each larger frame alone; here as much is
//! read as there is, and large frames wait for those behind them until the task that wrote them has its next turn.
//! What is small goes straight through.
//!
//! A connection holds a block only while something is in it.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Most that is read or written at a time.
const BLOCK: usize = 64 * 1024;
/// Blocks that a thread keeps for the next one who needs one.
const KEPT: usize = 4;
/// Who was given less than this has no bulk.
const LEAST: usize = 8 * 1024;

thread_local!(static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) });

/// Bytes on their way.
#[derive(Default)]
struct Block {
    /// Of full size while in use.
    bytes: Box<[u8]>,
    waiting: Range<usize>,
}

impl Block {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn waiting(&self) -> &[u8] {
        &self.bytes[self.waiting.clone()]
    }

    /// All of it, when nothing waits.
    fn room(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            let spare = SPARE.with_borrow_mut(Vec::pop);
            self.bytes = spare.unwrap_or_else(|| vec![0; BLOCK].into());
        }
        &mut self.bytes[self.waiting.end..]
    }

    /// The first `len` bytes have gone.
    fn advance(&mut self, len: usize) {
        self.waiting.start += len;
        if self.is_empty() {
            self.waiting = 0..0;
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        SPARE.with_borrow_mut(|spare| {
            if !bytes.is_empty() && spare.len() < KEPT {
                spare.push(bytes);
            }
        });
    }
}

/// Reads ahead of whoever asks.
#[derive(Default)]
pub(super) struct Ahead {
    block: Block,
    /// The last read brought all that it had room for.
    is_bulk: bool,
}

impl Ahead {
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut TcpStream>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.block.is_empty() {
            if !self.is_bulk {
                ready!(from.poll_read(cx, to))?;
                self.is_bulk = to.remaining() == 0;
                return Poll::Ready(Ok(()));
            }
            let mut room = ReadBuf::new(self.block.room());
            let read = from.as_mut().poll_read(cx, &mut room);
            let len = room.filled().len();
            self.block.waiting.end = len;
            if len == 0 {
                self.block.give_back();
            }
            ready!(read)?;
            self.is_bulk = len >= LEAST;
        }
        let waiting = self.block.waiting();
        let len = waiting.len().min(to.remaining());
        to.put_slice(&waiting[..len]);
        self.block.advance(len);
        Poll::Ready(Ok(()))
    }
}

/// Writes behind whoever says something.
#[derive(Default)]
pub(super) struct Behind {
    block: Block,
    /// The socket takes no more for now.
    is_stuck: bool,
}

impl Behind {
    pub(super) fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// More than one part is the head of a large frame, and the rest of it.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut TcpStream>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_empty() && parts.len() < 2 {
            return to.poll_write_vectored(cx, parts);
        }
        if self.block.waiting.end == BLOCK {
            ready!(self.poll_drain(cx, to.as_mut()))?;
        }
        let mut written = 0;
        for part in parts {
            let room = self.block.room();
            let len = part.len().min(room.len());
            room[..len].copy_from_slice(&part[..len]);
            self.block.waiting.end += len;
            written += len;
        }
        Poll::Ready(Ok(written))
    }

    /// What waits goes out in the next turn, if it can.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        to: Pin<&mut TcpStream>,
    ) -> Poll<io::Result<()>> {
        if self.is_stuck {
            return self.poll_drain(cx, to);
        }
        if !self.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what waits.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut TcpStream>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = to.as_mut().poll_write(cx, self.block.waiting());
            self.is_stuck = written.is_pending();
            let written = ready!(written)?;
            self.block.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what it can before the end.
    pub(super) fn last_words(&self, to: &TcpStream) {
        if !self.is_empty() {
            // Whoever has gone hears nothing.
            let _ = to.try_write(self.block.waiting());
        }
    }
}

#[cfg(test)]
mod tests;
