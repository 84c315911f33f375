//! One way of a stream: what comes goes on at once, and its sender gets new room only for what has been taken.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};

pub(super) struct Way {
    from: RecvStream,
    pub(super) to: SendStream<Bytes>,
    /// Came, and has not been taken yet.
    held: Bytes,
    in_trailers: bool,
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
    pub(super) fn new(from: RecvStream, to: SendStream<Bytes>) -> Self {
        Self { from, to, held: Bytes::new(), in_trailers: false }
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
        let mut room = self.to.capacity();
        if room == 0 {
            match ready!(self.to.poll_capacity(cx)) {
                Some(Ok(capacity)) => room = capacity,
                Some(Err(_)) | None => return Poll::Ready(Some(End::Refused)),
            }
        }
        let data = self.held.split_to(room.min(self.held.len()));
        let len = data.len();
        let last = self.held.is_empty() && self.from.is_end_stream();
        if self.to.send_data(data, last).is_err() {
            return Poll::Ready(Some(End::Refused));
        }
        // It fails for bytes that did not come, and these did.
        let _ = self.from.flow_control().release_capacity(len);
        Poll::Ready(last.then_some(End::Complete))
    }
}
