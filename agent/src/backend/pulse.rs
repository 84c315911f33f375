//! Whether a preview's pod is still there. Keepalive asks only while nothing is under way (tcp(7)), and without more ado
//! the kernel sends for 15 minutes what nobody takes.
//!
//! `TCP_USER_TIMEOUT` would end it sooner, and also a connection to a pod that is there and takes nothing for a while:
//! one that is debugged. So it is looked at: bytes are on their way, and no packet at all has come for long.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Sleep, sleep},
};

use crate::sys;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(10);
/// Looks in a row at which nothing had come: a silence of 20 to 30 seconds.
const DEAD: u32 = 3;

/// Of one connection.
#[derive(Default)]
pub(crate) struct Pulse {
    next: Option<Pin<Box<Sleep>>>,
    silent: u32,
}

impl Pulse {
    /// Ready when the peer of `socket` has gone. To be asked whenever something is awaited of it.
    pub(crate) fn poll_lost(&mut self, cx: &mut Context<'_>, socket: &TcpStream) -> Poll<io::Error> {
        loop {
            let next = self.next.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
            ready!(next.as_mut().poll(cx));
            // Nobody has asked for long: what was seen before, and how long nothing has come, says nothing of now.
            let is_late = next.deadline().elapsed() >= PAUSE;
            self.next = None;
            if is_late {
                self.silent = 0;
                continue;
            }
            let is_silent = sys::tcp_info(socket).is_ok_and(|info| {
                info.tcpi_unacked > 0 && Duration::from_millis(info.tcpi_last_ack_recv.into()) >= PAUSE
            });
            self.silent = if is_silent { self.silent + 1 } else { 0 };
            if self.silent >= DEAD {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
        }
    }
}
