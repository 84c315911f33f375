//! Long runs of payload go through a pipe, so that they are never copied to userspace (`splice(2)`).
//!
//! A pipe is filled only when it is empty and holds at most its capacity, so back-pressure stays as with copying.

use std::{
    cell::RefCell,
    io,
    os::fd::OwnedFd,
    task::{Context, Poll, ready},
};

use nix::{
    fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice},
    unistd::pipe2,
};
use tokio::{io::Interest, net::TcpStream};

/// A shorter run is copied: two calls either way.
pub(super) const FROM: u64 = 256 * 1024;
/// Capacity of a pipe, the most that is allowed without privileges (`fs.pipe-max-size`).
const CAPACITY: i32 = 1 << 20;
/// Pipes kept by a thread for the next long run.
const KEPT: usize = 16;

thread_local!(static POOL: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) });

/// A pipe, and how many bytes are in it.
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    holds: usize,
}

impl Pipe {
    pub(super) fn take() -> io::Result<Self> {
        if let Some(pipe) = POOL.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Smaller is slower, not wrong.
        let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(CAPACITY));
        Ok(Self { read, write, holds: 0 })
    }

    /// Gives back an empty pipe for the next one; one with bytes in it is closed.
    pub(super) fn give_back(self) {
        POOL.with_borrow_mut(|pool| {
            if self.holds == 0 && pool.len() < KEPT {
                pool.push(self);
            }
        });
    }

    /// Moves at most `most` bytes into the pipe, which must be empty. 0 is the end.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        let most = most.min(CAPACITY as u64) as usize;
        loop {
            ready!(from.poll_read_ready(cx))?;
            match from.try_io(Interest::READABLE, || step(from, &self.write, most)) {
                Ok(moved) => {
                    self.holds += moved;
                    return Poll::Ready(Ok(moved));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Moves everything out of the pipe.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<()>> {
        while self.holds > 0 {
            ready!(to.poll_write_ready(cx))?;
            match to.try_io(Interest::WRITABLE, || step(&self.read, to, self.holds)) {
                Ok(moved) => self.holds -= moved,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn step(from: impl std::os::fd::AsFd, to: impl std::os::fd::AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, most, flags)?)
}
