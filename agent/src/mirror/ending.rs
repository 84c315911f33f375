//! When a connection is over: by what both sides have said, or since nothing comes any more.

use std::time::{Duration, Instant};

const FIN: u32 = 1;
const RST: u32 = 4;

/// A connection that is silent for so long is joined anew, at its next request.
const SILENCE: Duration = Duration::from_secs(600);
/// The same once the app has said that it sends no more. Hardly anything follows then; but what was on its way may be copied
/// behind the app's word, and joined anew it would be kept for long.
const LEFT: Duration = Duration::from_secs(5);

pub(super) struct Ending {
    /// The client sends no more.
    client: bool,
    is_reset: bool,
    /// The app sends no more.
    app: bool,
    touched: Instant,
}

impl Ending {
    pub(super) const fn new(now: Instant) -> Self {
        Self { client: false, is_reset: false, app: false, touched: now }
    }

    /// Takes the flags of a packet of the client.
    pub(super) const fn by_client(&mut self, flags: u32, now: Instant) {
        self.client |= flags & FIN != 0;
        self.is_reset |= flags & RST != 0;
        self.touched = now;
    }

    /// Takes those of one of the app.
    pub(super) const fn by_app(&mut self, flags: u32) {
        self.app |= flags & (FIN | RST) != 0;
    }

    /// Whether nothing more is awaited. What is missing before the client's last byte may come yet.
    pub(super) fn is_over(&self, has_gap: bool, now: Instant) -> bool {
        let most = if self.app { LEFT } else { SILENCE };
        self.is_reset || self.client && !has_gap || now.saturating_duration_since(self.touched) >= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: u32 = 16;

    #[test]
    fn it_ends_with_the_clients_word_once_all_before_it_is_there() {
        let now = Instant::now();
        let mut ending = Ending::new(now);
        ending.by_client(ACK, now);
        assert!(!ending.is_over(false, now));
        ending.by_client(ACK | FIN, now);
        assert!(!ending.is_over(true, now) && ending.is_over(false, now));
        let mut ending = Ending::new(now);
        ending.by_client(RST, now);
        assert!(ending.is_over(true, now));
    }

    #[test]
    fn soon_after_the_apps_word_nothing_more_is_awaited() {
        let now = Instant::now();
        for (flags, patience) in [(ACK, SILENCE), (ACK | FIN, LEFT), (RST, LEFT)] {
            let mut ending = Ending::new(now);
            ending.by_app(flags);
            ending.by_app(ACK);
            assert!(!ending.is_over(false, now + patience / 2));
            assert!(ending.is_over(false, now + patience), "{flags}");
            // A client that goes on is heard.
            ending.by_client(ACK, now + patience);
            assert!(!ending.is_over(false, now + patience));
        }
    }
}
