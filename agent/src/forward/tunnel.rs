//! Raw bytes, both ways, each way to its own end.

use std::{
    future::poll_fn,
    mem::take,
    task::{Context, Poll, ready},
};

use tokio::net::TcpStream;

use super::{
    connection::Server,
    ending::{self, Ended, LateReset},
    outbox::{Outbox, SCRATCH, Scratch},
};
use crate::stream::Stream;

/// One way, and how far it has come.
pub(super) struct Way {
    pub(super) outbox: Outbox,
    /// Of the side that the bytes come from.
    pub(super) ended: Ended,
    /// The last read filled all there was room for, so the next is worth a pipe.
    bulk: bool,
    /// Bytes have come since this was last looked at.
    moved: bool,
}

/// How a way came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// FIN was passed on.
    Passed,
    /// The reading side was reset.
    Reset,
    /// The writing side takes nothing more: what it has sent itself is still to be passed on.
    Broken,
}

/// Copies until both ways have ended, or one side resets, or the server has vanished. `used` is called whenever bytes
/// have come, and at the end; `heard` with what the client sends, as far as that is read.
pub(super) async fn run(
    mut client: Stream,
    server: &mut Server,
    mut up: Way,
    mut down: Way,
    mut used: impl FnMut(),
    mut heard: impl FnMut(&[u8]),
) {
    let (mut client_reset, mut server_reset) = (LateReset::default(), LateReset::default());
    let clean = poll_fn(|cx| {
        let stream = server.stream();
        let ends = [up.poll(cx, &mut client, stream, &mut heard), down.poll(cx, stream, &mut client, |_| {})];
        if take(&mut up.moved) | take(&mut down.moved) {
            used();
        }
        if ends.contains(&Poll::Ready(End::Reset)) {
            return Poll::Ready(false);
        }
        if let [Poll::Ready(a), Poll::Ready(b)] = ends {
            return Poll::Ready(a == End::Passed && b == End::Passed);
        }
        let late = up.ended != Ended::No && client_reset.poll(cx, &client).is_ready()
            || down.ended != Ended::No && server_reset.poll(cx, stream).is_ready();
        if late || server.poll_lost(cx).is_ready() { Poll::Ready(false) } else { Poll::Pending }
    })
    .await;
    used();
    if !clean {
        server.stream().reset();
        ending::reset_after_flush(&mut client).await;
    }
}

impl Way {
    pub(super) fn new(outbox: Outbox, ended: Ended) -> Self {
        Self { outbox, ended, bulk: false, moved: false }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        mut read: impl FnMut(&[u8]),
    ) -> Poll<End> {
        loop {
            if ready!(self.outbox.poll_flush(cx, to)).is_err() {
                return Poll::Ready(End::Broken);
            }
            match self.ended {
                Ended::No => {}
                Ended::Seen => {
                    ending::shutdown(to);
                    self.ended = Ended::PassedOn;
                }
                Ended::PassedOn => return Poll::Ready(End::Passed),
            }
            if self.ended != Ended::No {
                continue;
            }
            if self.bulk {
                match ready!(self.outbox.poll_splice(cx, from, u64::MAX)) {
                    Ok(0) => self.ended = Ended::Seen,
                    Ok(moved) => (self.bulk, self.moved) = (moved >= SCRATCH / 4, true),
                    Err(_) => return Poll::Ready(End::Reset),
                }
                continue;
            }
            let mut scratch = Scratch::take();
            match ready!(scratch.poll_read(cx, from)) {
                Ok([]) => self.ended = Ended::Seen,
                Ok(bytes) => {
                    read(bytes);
                    (self.bulk, self.moved) = (bytes.len() == SCRATCH, true);
                    if self.outbox.send(cx, to, &[bytes]).is_err() {
                        return Poll::Ready(End::Broken);
                    }
                }
                Err(_) => return Poll::Ready(End::Reset),
            }
        }
    }
}
