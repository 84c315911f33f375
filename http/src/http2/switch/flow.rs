//! The client's connection window (RFC 9113, 5.2), of which home believes that it is all its own.
//!
//! As long as no stream is away it is. Then others send, too, and what they send home knows nothing of: it may send
//! more than the client takes, which is held until the client has made room. What the client makes room for is told
//! to home in proportion to what home has sent, so that all that is held at a time stays within what was away.

/// What others leave to home, while it has streams.
const RESERVED: i64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct Share {
    /// What the client takes now.
    room: i64,
    /// The most that it has ever been.
    widest: i64,
    /// What home may send, as far as it knows.
    home: i64,
    /// Sent on, and not made room for again.
    by_home: u64,
    by_others: u64,
    /// Room that home is not told of while others wait.
    withheld: u32,
}

/// The largest window (RFC 9113, 6.9.1).
pub(super) const MOST: u32 = 0x7fff_ffff;

/// The window of a connection that nobody has spoken of (RFC 9113, 6.9.2).
pub(super) const USUAL: i64 = 65_535;

impl Default for Share {
    fn default() -> Self {
        Self { room: USUAL, widest: USUAL, home: USUAL, by_home: 0, by_others: 0, withheld: 0 }
    }
}

impl Share {
    /// Home sends `len` bytes. Whether they may go on: there is room, or home sends more than it may, which is for the
    /// client to judge.
    pub(super) fn home_sends(&mut self, len: usize) -> bool {
        self.home -= len as i64;
        self.room >= len as i64 || self.home < 0
    }

    /// Home sent bytes that the client does not get, and may send others for them.
    pub(super) fn home_takes_back(&mut self, len: u32) {
        self.home += i64::from(len);
    }

    /// Bytes of home go on.
    pub(super) fn home_goes_on(&mut self, len: usize) {
        self.room -= len as i64;
        self.by_home += len as u64;
    }

    /// How much of what home has sent may go on.
    pub(super) fn for_home(&self) -> usize {
        usize::try_from(self.room).unwrap_or(0)
    }

    /// How much of others may go on. `busy`: home has streams, and something is left to it.
    pub(super) fn for_others(&self, busy: bool) -> usize {
        let reserved = if busy { RESERVED.min(self.widest / 4) } else { 0 };
        usize::try_from(self.room - reserved).unwrap_or(0)
    }

    /// Whether the client is about to make room.
    pub(super) const fn is_half_used(&self) -> bool {
        self.room <= self.widest / 2
    }

    pub(super) fn others_send(&mut self, len: usize) {
        self.room -= len as i64;
        self.by_others += len as u64;
    }

    /// The client takes `more`; what home is told of it. `waits`: others have something that there was no room for.
    pub(super) fn grow(&mut self, more: u32, waits: bool) -> u32 {
        self.room += i64::from(more);
        self.widest = self.widest.max(self.room);
        let sent = self.by_home + self.by_others;
        let for_others = if u64::from(more) >= sent {
            self.by_others
        } else {
            (u128::from(more) * u128::from(self.by_others) / u128::from(sent)) as u64
        };
        self.by_others -= for_others;
        let for_home = more - for_others as u32;
        self.by_home = self.by_home.saturating_sub(u64::from(for_home));
        let most = u32::try_from(self.widest / 2).unwrap_or(u32::MAX);
        let withheld = if waits { (for_home / 2).min(most.saturating_sub(self.withheld)) } else { 0 };
        self.withheld += withheld;
        self.home += i64::from(for_home - withheld);
        for_home - withheld
    }

    /// Nobody else waits any more: what home is told now.
    pub(super) fn release(&mut self) -> u32 {
        let withheld = std::mem::take(&mut self.withheld);
        self.home += i64::from(withheld);
        withheld
    }
}
