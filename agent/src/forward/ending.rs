//! How the end of a connection is passed on: FIN as FIN, reset as reset.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::outbox::Scratch;
use crate::stream::Stream;

/// Longest wait for what was sent before a reset to leave the socket.
const FLUSH: Duration = Duration::from_secs(2);

/// Whether one side will send no more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    No,
    /// Seen, and not passed on yet.
    Seen,
    /// The other side has been told.
    PassedOn,
}

/// Half-closes: no more will be sent. One that the other side has reset already needs no more.
pub(super) fn shutdown(stream: &TcpStream) {
    let _ = SockRef::from(stream).shutdown(std::net::Shutdown::Write);
}

/// Closes after the last answer. What the client still sends is read and thrown away for a moment: a socket that is
/// closed with unread bytes resets the connection, and the client might lose the answer.
pub(super) async fn close(client: &mut TcpStream) {
    shutdown(client);
    let mut sink = tokio::io::sink();
    let _ = tokio::time::timeout(FLUSH, tokio::io::copy(client, &mut sink)).await;
}

/// As [`close`], for a client that goes on speaking of what it receives, as in HTTP/2: until it has closed too, or
/// takes nothing more.
#[derive(Default)]
pub(super) struct Farewell(Option<(Pin<Box<Sleep>>, usize)>);

impl Farewell {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, client: &mut TcpStream) -> Poll<()> {
        let (timer, before) = self.0.get_or_insert_with(|| {
            shutdown(client);
            (Box::pin(sleep(FLUSH)), usize::MAX)
        });
        loop {
            while timer.as_mut().poll(cx).is_ready() {
                let now = unsent(client).unwrap_or(0);
                if now == 0 || now == *before {
                    return Poll::Ready(());
                }
                (*timer, *before) = (Box::pin(sleep(FLUSH)), now);
            }
            if matches!(ready!(Scratch::take().poll_read(cx, client)), Ok([]) | Err(_)) {
                return Poll::Ready(());
            }
        }
    }
}

/// Resets `stream` after what was sent to it before has been acknowledged: a reset throws away what waits.
pub(super) async fn reset_after_flush(stream: &mut Stream) {
    let mut wait = Duration::from_micros(50);
    let mut waited = Duration::ZERO;
    while waited < FLUSH && unsent(stream).is_ok_and(|bytes| bytes > 0) {
        sleep(wait).await;
        waited += wait;
        wait *= 2;
    }
    stream.reset();
}

/// Waits for the reset of a side that has half-closed before, which reading does not tell any more: at the end of
/// the stream a socket stays readable for ever. So it is asked now and then, and ever less often.
#[derive(Default)]
pub(super) struct LateReset(Option<(Pin<Box<Sleep>>, Duration)>);

impl LateReset {
    const FIRST: Duration = Duration::from_millis(5);
    const LAST: Duration = Duration::from_secs(1);

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, side: &TcpStream) -> Poll<()> {
        loop {
            if !matches!(side.take_error(), Ok(None)) {
                return Poll::Ready(());
            }
            let (timer, wait) = self.0.get_or_insert_with(|| (Box::pin(sleep(Self::FIRST)), Self::FIRST));
            ready!(timer.as_mut().poll(cx));
            *wait = (*wait * 2).min(Self::LAST);
            *timer = Box::pin(sleep(*wait));
        }
    }
}

/// Bytes not acknowledged by the other side yet.
fn unsent(stream: &TcpStream) -> io::Result<usize> {
    crate::sys::outq(stream)
}
