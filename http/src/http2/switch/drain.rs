//! A drain, as RFC 9113 (6.8) advises: the first GOAWAY names no last stream, so all that was sent is answered; the
//! second one, when the client has heard the first, names the last one.

use super::Switch;
use crate::http2::frame::{self, code, kind};

/// The PING by which it is known what the client has heard.
const OURS: &[u8; 8] = b"by\xfaw\xe1y\x0d\x01";
const NO_LAST: u32 = 0x7fff_ffff;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Drain {
    #[default]
    No,
    /// The client is being told.
    Told,
    /// It knows that this is the last stream.
    Last(u32),
}

impl Drain {
    /// Whether this is the answer to the drain's PING.
    pub(super) fn is_answered(self, payload: &[u8]) -> bool {
        self == Self::Told && payload == OURS
    }

    pub(super) const fn refuses(self, stream: u32) -> bool {
        matches!(self, Self::Last(last) if stream > last)
    }

    /// The last stream, if one has been named.
    pub(super) const fn most(self) -> Option<u32> {
        match self {
            Self::Last(last) => Some(last),
            _ => None,
        }
    }
}

impl Switch {
    /// Asks the client to begin no more streams.
    pub fn drain(&mut self) {
        if self.drain == Drain::No {
            self.drain = Drain::Told;
            frame::goaway(&mut self.soon_client, NO_LAST, code::NO_ERROR);
            frame::write(&mut self.soon_client, kind::PING, 0, 0, OURS);
            self.settle();
        }
    }

    /// Names the last stream.
    pub(super) fn drains_on(&mut self) {
        if self.drain.most().is_none() {
            self.drain = Drain::Last(self.highest);
            frame::goaway(&mut self.soon_client, self.highest, code::NO_ERROR);
        }
    }

    /// The client knows that it may begin no more streams, and all have come to their end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let nothing_waits = self.to_client.is_empty() && self.soon_client.is_empty() && self.ready.is_empty();
        self.drain.most().is_some() && self.open() == 0 && nothing_waits && self.from_home.held() == 0
    }
}
