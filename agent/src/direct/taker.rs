//! The thread that hears of held connections, has them go on, and remembers those that were taken over.

use std::{
    collections::HashMap,
    io,
    os::fd::AsFd,
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use byway_abi::{
    DialKey,
    direct::{BEAT, Event, MARK_APP, MARK_CLONE, Order, flag, state},
};
use nix::poll::{PollFd, PollFlags, poll};

use super::{
    Direct, Step,
    frame::Frame,
    held::{Held, MOST, Next, Standing, Taking, inject, let_go, order},
};
use crate::{
    admission::{Admission, is_exhausted},
    kernel::sys::plain,
};

/// Between looks at connections that wait, in milliseconds; and between beats, when none does.
const WAITING: u16 = 5;
const NONE: u16 = 50;
/// Events between two beats.
const AT_ONCE: usize = 256;
/// Between looks at clones that may have gone, and how long one is remembered.
const SWEEP: Duration = Duration::from_secs(1);
const REMEMBERED: Duration = Duration::from_secs(2);

/// Starts the thread; it ends with `direct`.
pub(crate) fn start(
    direct: &Arc<Direct>,
    events: RingBuf<MapData>,
    admission: Arc<Admission>,
) -> io::Result<()> {
    let weak = Arc::downgrade(direct);
    direct.tables.beat(BEAT, admission.has_room());
    let taker = Taker { held: HashMap::new(), taken: HashMap::new(), admission, swept: Instant::now() };
    thread::Builder::new().name("direct".to_owned()).spawn(move || taker.run(events, &weak))?;
    Ok(())
}

struct Taker {
    held: HashMap<DialKey, Held>,
    taken: HashMap<DialKey, Standing>,
    admission: Arc<Admission>,
    swept: Instant,
}

impl Taker {
    fn run(mut self, mut events: RingBuf<MapData>, direct: &Weak<Direct>) {
        while let Some(direct) = direct.upgrade() {
            direct.tables.beat(BEAT, self.admission.has_room());
            for _ in 0..AT_ONCE {
                let Some(record) = events.next() else { break };
                if let Some((event, frame)) = split(&record) {
                    self.hear(&direct, &event, frame);
                }
            }
            self.look_again(&direct);
            self.sweep(&direct);
            direct.clones.store(self.taken.len(), Relaxed);
            drop(direct);
            let pause = if self.held.is_empty() { NONE } else { WAITING };
            // An error is a signal, and then there may be something as well.
            let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], pause);
        }
    }

    fn hear(&mut self, direct: &Direct, event: &Event, frame: &[u8]) {
        match event.kind {
            Event::HOLD => {
                direct.reach(Step::Held);
                let (Some(at), Some(frame)) = (direct.target(event.key.ns), Frame::new(event, frame)) else {
                    let_go(direct, &event.key, &event.conn, flag::UNREAD);
                    return; // it comes again
                };
                let mut held = Held::new(at, event, direct.bits);
                held.push(frame);
                self.held.insert(event.key, held);
            }
            Event::MORE => {
                let Some(frame) = Frame::new(event, frame) else { return };
                match self.held.get_mut(&event.key) {
                    Some(held) => held.push(frame),
                    None => {
                        // Whoever it belongs to by now gets it.
                        if let Some(at) = direct.target(event.key.ns) {
                            let pieces = frame.pieces(0, usize::MAX, MOST, frame.said);
                            inject(&at.hooks, &pieces, &frame, MARK_CLONE);
                        }
                        return;
                    }
                }
            }
            Event::SOCKET => {
                let Some(held) = self.held.get_mut(&event.key) else { return };
                if held.conn.app_end != event.conn.app_end {
                    held.spoke = Instant::now();
                }
                held.conn = event.conn;
                held.see(event.socket);
            }
            Event::APP_ENDED => {
                if let Some(held) = self.held.remove(&event.key) {
                    held.give_back(MARK_APP);
                }
                return;
            }
            Event::HTTP2 => {
                if let Some(at) = direct.target(event.key.ns) {
                    at.target.learn_http2(event.key.local_port as u16);
                }
                return;
            }
            _ => return,
        }
        self.consider(direct, &event.key);
    }

    fn look_again(&mut self, direct: &Direct) {
        let keys: Vec<DialKey> = self.held.keys().copied().collect();
        for key in keys {
            let Some(held) = self.held.get(&key) else { continue };
            match direct.tables.conn(&key) {
                Ok(Some(conn)) if conn.state == state::HELD && conn.at == held.conn.at => {}
                // The client has gone, or nobody waits for the agent any more.
                Ok(now) => {
                    if now.is_some() {
                        held.give_back(MARK_APP);
                    }
                    self.held.remove(&key);
                    continue;
                }
                Err(error) => tracing::warn!(%error, "cannot look at a connection that is held"),
            }
            self.consider(direct, &key);
            if let Some(held) = self.held.get_mut(&key).filter(|held| held.asks()) {
                // The answer comes as an event.
                held.ask();
            }
        }
    }

    fn consider(&mut self, direct: &Direct, key: &DialKey) {
        let Some(held) = self.held.get_mut(key) else { return };
        match held.next(direct, key) {
            Next::Wait => return,
            Next::Nudge => return held.nudge(direct, key),
            Next::Release(judgement) => held.release(direct, key, judgement),
            Next::Miss(why) => held.miss(direct, key, why),
            Next::Take if direct.is_filtered(&held.at.target.netns) => held.miss(direct, key, "Netfilter"),
            Next::Take => match held.take_over(direct, key) {
                Ok(Taking::Done(standing)) => drop(self.taken.insert(*key, standing)),
                Ok(Taking::Gone) => held.give_back(MARK_APP),
                Ok(Taking::AppSpoke) => return held.ask(),
                Err(error) => {
                    if is_exhausted(&error) {
                        self.admission.exhausted();
                    }
                    tracing::warn!(%error, target = held.at.target.name, "cannot take a connection over");
                    held.miss(direct, key, "Failed");
                }
            },
        }
        self.held.remove(key);
    }

    /// Forgets connections whose clone has gone.
    fn sweep(&mut self, direct: &Direct) {
        if self.swept.elapsed() < SWEEP {
            return;
        }
        self.swept = Instant::now();
        self.taken.retain(|key, standing| {
            match direct.tables.conn(key) {
                Ok(Some(conn)) if conn.at == standing.at && conn.state == state::TAKEN => {
                    if conn.flags & flag::GONE == 0 {
                        return true;
                    }
                    let gone = *standing.gone.get_or_insert_with(Instant::now);
                    if gone.elapsed() < REMEMBERED {
                        return true;
                    }
                    direct.order(Order { what: Order::FORGET, at: standing.at, ..order(key) });
                }
                _ => {} // another one by now
            }
            false
        });
    }
}

/// The parts of a record: an [`Event`], and what was copied of the packet.
fn split(bytes: &[u8]) -> Option<(Event, &[u8])> {
    let (event, frame) = plain::<Event>(bytes)?;
    Some((event, frame.get(..event.frame as usize)?))
}
