//! What the programs know of connections that go straight to the app.

use std::{collections::HashMap, io, net::IpAddr, sync::atomic::Ordering::Relaxed};

use byway_abi::{
    DIRECT, DialKey,
    direct::{Answer, Conn, Filter, flag, state},
    slot_of,
};

use super::{Tables, port_key};
use crate::{
    address::{mapped, unmapped},
    kernel::sys::{RawMap, monotonic_ns},
};

/// Whether an agent with this map follows a connection. One that was open before, or that it has left to the app though
/// keys may come on it, is for whoever observes those.
pub(crate) fn is_followed(conns: &RawMap<DialKey, Conn>, key: &DialKey) -> bool {
    let is_left = |conn: Conn| {
        conn.state == state::OLD || (conn.state == state::OPAQUE && conn.flags & flag::UNREAD != 0)
    };
    conns.lookup(key).is_ok_and(|found| found.is_some_and(|conn| !is_left(conn)))
}

impl Tables {
    /// Who decides on this agent's direct connections: [`Conn::owner`].
    pub(crate) const fn owner(&self) -> u32 {
        self.instance as u32
    }

    /// Has new connections to a steered port go straight to the app, or no longer: `mode` is bits of
    /// [`DIRECT`](byway_abi::DIRECT).
    pub(crate) fn set_mode(&self, slot: u32, ns: u64, port: u16, mode: u32) -> io::Result<()> {
        let _free = self.free();
        match self.ports.lookup(&port_key(ns, port))? {
            // Another agent's slot may stand there by now.
            Some(now) if slot_of(now) == slot => self.ports.update(&port_key(ns, port), &(slot | mode)),
            _ => Ok(()),
        }
    }

    /// A direct connection, or one that was taken over.
    pub(crate) fn conn(&self, key: &DialKey) -> io::Result<Option<Conn>> {
        self.conns.lookup(key)
    }

    /// Whether the programs follow this connection, so that it is not one of before.
    pub(crate) fn is_followed(&self, key: &DialKey) -> bool {
        is_followed(&self.conns, key)
    }

    /// Forgets a connection of before, if nothing has come of it.
    pub(crate) fn forget_unjoined(&self, key: &DialKey) -> io::Result<()> {
        match self.conns.lookup(key)? {
            Some(conn) if conn.state == state::OLD => self.conns.delete(key),
            _ => Ok(()),
        }
    }

    /// How the app's last answer on a direct connection begins.
    pub(crate) fn answer(&self, key: &DialKey) -> io::Result<Option<Answer>> {
        self.answers.lookup(key)
    }

    /// The direct connections of a namespace.
    pub(crate) fn conns_of(&self, ns: u64) -> io::Result<Vec<DialKey>> {
        Ok(self.conns.keys()?.into_iter().filter(|key| key.ns == ns).collect())
    }

    /// Forgets what agents that live no more decided on, with whom the map is shared. But for what the programs of this one
    /// see to from its next request on.
    pub(crate) fn sweep_owners(&self, living: &[u64]) -> io::Result<()> {
        let lives = |owner| owner == self.owner() || living.iter().any(|it| *it as u32 == owner);
        let is_direct = |key: &DialKey| {
            let slot = self.ports.lookup(&port_key(key.ns, key.local_port as u16));
            slot.is_ok_and(|slot| slot.is_some_and(|slot| slot & DIRECT != 0))
        };
        self.forget_conns(|key, conn| {
            let goes_on = match conn.state {
                state::DIRECT | state::OPAQUE => is_direct(key),
                // Until nobody asks for it any more: its socket may have something to say still.
                state::TAKEN => conn.flags & flag::GONE == 0,
                state::CLONE => self.is_taken(&DialKey { local_port: conn.port, ..*key }),
                _ => false,
            };
            !lives(conn.owner) && !goes_on
        })
    }

    fn is_taken(&self, key: &DialKey) -> bool {
        self.conns.lookup(key).is_ok_and(|conn| conn.is_some_and(|conn| conn.state == state::TAKEN))
    }

    pub(super) fn forget_conns(&self, which: impl Fn(&DialKey, &Conn) -> bool) -> io::Result<()> {
        for key in self.conns.keys()? {
            if self.conns.lookup(&key)?.is_some_and(|conn| which(&key, &conn)) {
                self.conns.delete(&key)?;
                self.answers.delete(&key)?;
            }
        }
        Ok(())
    }

    /// Forgets handshakes that did not end: of everything else the end is seen.
    pub(crate) fn sweep_conns(&self) -> io::Result<()> {
        // As long as a SYN-ACK is sent again (`tcp_synack_retries` 5).
        const HALF_OPEN_NS: u64 = 64_000_000_000;
        let now = monotonic_ns();
        self.forget_conns(|_, conn| {
            // The app's, and its socket never stood, or has ended while the connection was held.
            let has_none =
                matches!(conn.state, state::DIRECT | state::OPAQUE) && conn.flags & flag::ALIVE == 0;
            has_none && now.saturating_sub(conn.at) > HALF_OPEN_NS
        })
    }

    /// Has heads be held in which this key may stand.
    pub(crate) fn add_key(&self, hash: u64) -> io::Result<()> {
        self.keys.update(&hash, &1)
    }

    /// And no more.
    pub(crate) fn remove_key(&self, hash: u64) -> io::Result<()> {
        self.keys.delete(&hash)
    }

    /// What heads are scanned for. Word by word: what is in both the old and the new one is found all the while.
    pub(crate) fn set_filter(&self, filter: &Filter) {
        let words = self.filter.words(0);
        let bytes = [&filter.names[..], &filter.token, &filter.bloom];
        let tables = bytes.iter().flat_map(|it| it.as_chunks::<8>().0).map(|it| u64::from_ne_bytes(*it));
        let all = [filter.lengths, filter.all].into_iter().chain(tables);
        words.iter().zip(all).for_each(|(to, word)| to.store(word, Relaxed));
    }

    /// Whose connections are never direct, since they are decided by where they come from.
    pub(crate) fn set_origins(&self, wanted: &HashMap<IpAddr, byway_api::Key>) -> io::Result<()> {
        let now = self.origins.keys()?;
        wanted
            .keys()
            .map(|ip| mapped(*ip))
            .filter(|it| !now.contains(it))
            .try_for_each(|it| self.origins.update(&it, &1))?;
        now.iter()
            .filter(|it| !wanted.contains_key(&unmapped(**it)))
            .try_for_each(|it| self.origins.delete(it))
    }
}
