//! What goes over connections that were open before the route, and so bypass the agent: read from copies of their
//! packets, to count requests, and to know which connections owe an answer. Nothing here is on the way of a request.
//!
//! Best effort by design: a request is seen when a packet begins with its head, or when the ones before it could be
//! followed. In TLS and in the middle of HTTP/2 none is.

use std::{
    collections::HashMap,
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use byway_abi::{DialKey, Packet};
use byway_http::{Decision, RequestHead};
use nix::poll::{PollFd, PollFlags, poll};

mod follower;

use crate::{
    address::unmapped,
    kernel::Record,
    tables::{route_counter as counter, unix_ms},
    target::{Counter, Target},
};
use follower::{Follower, Packet as Copied};

/// Between looks at the ring, at so many packets each: the thread never takes a whole processor. What comes faster is lost.
const PAUSE: Duration = Duration::from_millis(5);
const AT_ONCE: usize = 256;
/// How often the thread looks whether it is needed, in milliseconds.
const STILL_THERE: u16 = 2000;

/// The connections that are followed.
#[derive(Default)]
pub(crate) struct Observer {
    followed: Mutex<HashMap<DialKey, (Weak<Target>, Follower)>>,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// Bytes of both ways since the account began, the client's first.
    pub(crate) seen: [u64; 2],
    /// All that was asked has been answered to its end, if those bytes are all that there were.
    pub(crate) owes_nothing: bool,
}

impl Observer {
    /// Starts the thread that reads; it ends with the observer.
    pub(crate) fn start(packets: RingBuf<MapData>) -> std::io::Result<Arc<Self>> {
        let observer = Arc::<Self>::default();
        let weak = Arc::downgrade(&observer);
        thread::Builder::new().name("observer".to_owned()).spawn(move || read(packets, &weak))?;
        Ok(observer)
    }

    /// Follows a connection to the target.
    pub(crate) fn follow(&self, key: DialKey, target: &Arc<Target>) {
        self.followed().insert(key, (Arc::downgrade(target), Follower::default()));
    }

    /// How a connection stands, as far as it was followed.
    pub(crate) fn account(&self, key: &DialKey) -> Option<Account> {
        let followed = self.followed();
        let (_, follower) = followed.get(key)?;
        Some(Account { seen: follower.seen(), owes_nothing: follower.owes_nothing() })
    }

    /// Has the account of a connection begin now.
    pub(crate) fn restart(&self, key: &DialKey) {
        if let Some((_, follower)) = self.followed().get_mut(key) {
            follower.restart();
        }
    }

    /// It has gone.
    pub(crate) fn forget(&self, key: &DialKey) {
        self.followed().remove(key);
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<DialKey, (Weak<Target>, Follower)>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, bytes: &[u8]) {
        let Some((key, is_answer, packet)) = split(bytes) else { return };
        let mut followed = self.followed();
        let Some((target, follower)) = followed.get_mut(&key) else { return };
        if is_answer {
            follower.take_answer(packet);
        } else if let Some(target) = target.upgrade() {
            follower.take_request(packet, |head| count(&target, &key, head));
        }
    }
}

fn read(mut packets: RingBuf<MapData>, observer: &Weak<Observer>) {
    while let Some(observer) = observer.upgrade() {
        for _ in 0..AT_ONCE {
            let Some(packet) = packets.next() else { break };
            observer.take(&packet);
        }
        drop(observer);
        thread::sleep(PAUSE);
        // An error is a signal, and then there may be something as well.
        let _ = poll(&mut [PollFd::new(packets.as_fd(), PollFlags::POLLIN)], STILL_THERE);
    }
}

/// The parts of a [`Packet`].
fn split(bytes: &[u8]) -> Option<(DialKey, bool, Copied<'_>)> {
    let packet = Record::split(bytes, Packet::HEADER)?;
    let copied = packet.data(packet.word(60)?)?;
    Some((
        packet.key()?,
        packet.word(48)? == 1,
        Copied { seq: packet.word(52)?, len: packet.word(56)?, copied },
    ))
}

/// What would have become of the request.
fn count(target: &Target, key: &DialKey, head: &RequestHead<'_, '_>) {
    target.count(Counter::OldRequests);
    let routes = target.routes.load();
    let routes = routes.at(key.local_port as u16);
    let origin = routes.origins.get(&unmapped(key.remote));
    let Decision::Preview(route, _) = routes.table.decide(head, origin).decision else { return };
    target.count(Counter::OldMissed);
    if let Some(leg) = routes.legs.get(route) {
        let counters = target.tables.route_counters(leg.index);
        counters[counter::MISSED].fetch_add(1, Relaxed);
        // Whoever sends such requests uses the preview, or tries to.
        counters[counter::LAST_REQUEST].fetch_max(unix_ms(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn a_packet_is_split_where_the_program_put_it_together() {
        assert_eq!(
            [
                offset_of!(Packet, is_answer),
                offset_of!(Packet, seq),
                offset_of!(Packet, len),
                offset_of!(Packet, copied)
            ],
            [48, 52, 56, 60]
        );
        let mut bytes = vec![0; Packet::HEADER];
        bytes[0] = 7;
        bytes[40] = 1;
        bytes[44] = 2;
        bytes[52] = 3;
        bytes[56] = 5;
        bytes[60] = 4;
        bytes.extend(b"GET and padding");
        bytes[48] = 1;
        let (key, is_answer, Copied { seq, len, copied }) = split(&bytes).unwrap();
        assert_eq!((key.ns, key.remote_port, key.local_port), (7, 1, 2));
        assert_eq!((is_answer, seq, len, copied), (true, 3, 5, &b"GET "[..]));
        assert!(split(&bytes[..Packet::HEADER + 3]).is_none(), "cut off");
    }
}
