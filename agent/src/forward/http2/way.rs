//! One way of a stream: what comes goes on at once, and its sender gets new room only for what has been taken.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits;

pub(super) struct Way {
    from: RecvStream,
    pub(super) to: SendStream<Bytes>,
    /// Came, and has not been taken yet.
    held: Bytes,
    in_trailers: bool,
    /// Of the connection that it goes to.
    room: Room,
    waits: Option<Waits>,
}

/// Room for what the library has taken and its connection has not written yet, of all streams. The library bounds
/// that for each stream alone.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

type Waits = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(limits::MOST_UNSENT)))
    }
}

/// Takes room until the library lets go of it: written, or thrown away.
struct Unsent {
    data: Bytes,
    _taken: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Unsent {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// How a way came to its end.
pub(super) enum End {
    /// All of it was passed on.
    Complete,
    /// The side that sends has broken off, after what was passed on.
    Broken(h2::Error),
    /// The side that receives takes no more.
    Refused,
}

impl Way {
    pub(super) fn new(from: RecvStream, to: SendStream<Bytes>, room: Room) -> Self {
        Self { from, to, held: Bytes::new(), in_trailers: false, room, waits: None }
    }

    /// Goes on until it would wait.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if !self.held.is_empty() {
                match ready!(self.poll_pass(cx)) {
                    Some(end) => return Poll::Ready(end),
                    None => continue,
                }
            }
            if self.in_trailers {
                let end = match ready!(self.from.poll_trailers(cx)) {
                    Ok(Some(trailers)) => self.to.send_trailers(trailers),
                    Ok(None) => self.to.send_data(Bytes::new(), true),
                    Err(error) => return Poll::Ready(End::Broken(error)),
                };
                return Poll::Ready(if end.is_ok() { End::Complete } else { End::Refused });
            }
            match self.from.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => self.held = data,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(End::Broken(error)),
                Poll::Ready(None) => self.in_trailers = true,
                Poll::Pending => return self.to.poll_reset(cx).map(|_| End::Refused),
            }
        }
    }

    /// Passes on what is held, as far as there is room for it.
    fn poll_pass(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        // No more than is there: room that one stream has reserved is none for the others.
        self.to.reserve_capacity(self.held.len());
        let mut window = self.to.capacity();
        if window == 0 {
            match ready!(self.to.poll_capacity(cx)) {
                Some(Ok(capacity)) => window = capacity,
                Some(Err(_)) | None => return Poll::Ready(Some(End::Refused)),
            }
        }
        // Behind the window: what has one is only waiting for the socket, and so for no other stream.
        let taken = match self.poll_room(cx, window.min(self.held.len())) {
            Poll::Ready(Some(taken)) => taken,
            Poll::Ready(None) => return Poll::Ready(Some(End::Refused)),
            Poll::Pending => return self.to.poll_reset(cx).map(|_| Some(End::Refused)),
        };
        let len = taken.num_permits();
        let data = Bytes::from_owner(Unsent { data: self.held.split_to(len), _taken: taken });
        let last = self.held.is_empty() && self.from.is_end_stream();
        if self.to.send_data(data, last).is_err() {
            return Poll::Ready(Some(End::Refused));
        }
        // It fails for bytes that did not come, and these did.
        let _ = self.from.flow_control().release_capacity(len);
        Poll::Ready(last.then_some(End::Complete))
    }

    fn poll_room(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Option<OwnedSemaphorePermit>> {
        let waits = match &mut self.waits {
            Some(waits) => waits,
            none => {
                let (room, len) = (self.room.0.clone(), len.min(limits::MOST_UNSENT) as u32);
                if let Ok(taken) = room.clone().try_acquire_many_owned(len) {
                    return Poll::Ready(Some(taken));
                }
                none.insert(Box::pin(async move { room.acquire_many_owned(len).await.ok() }))
            }
        };
        let taken = ready!(waits.as_mut().poll(cx));
        self.waits = None;
        Poll::Ready(taken)
    }
}
