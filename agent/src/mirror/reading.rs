//! Takes copies out of the ring, on a thread of its own, and finds the flow of each.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use byway_abi::{
    DialKey,
    mirror::{ANSWER, Copy},
};

use super::{
    Targets,
    flow::Flow,
    pace::{LOOK, Seen},
    part::Part,
    shower::Shower,
    spare::Spare,
};
use crate::{kernel::Record, snapshot::Copies, sys::give_way, tables::Tables};

/// Between looks at the ring, while something comes and while nothing does.
const PAUSE: Duration = Duration::from_millis(2);
const REST: Duration = Duration::from_millis(5);
/// So many copies, then others on this processor have their turn, too.
const AT_ONCE: usize = 512;
/// Between looks at all flows.
const SWEEP: Duration = Duration::from_secs(1);
/// Most connections that are followed.
const MOST_FLOWS: usize = 16_384;
/// Most bytes of requests that are not whole yet, of all connections.
const MOST_HELD: usize = 32 << 20;

/// Starts the thread. It ends with the agent's last reference to the targets.
pub(super) fn start(
    copies: RingBuf<MapData>,
    targets: &Arc<Targets>,
    tables: &Arc<Tables>,
    totals: Arc<Copies>,
    when_busy: u32,
) -> io::Result<()> {
    let (shower, spare) = (Shower::start(totals)?, Spare::new()?);
    let when_busy = u64::from(when_busy) * LOOK.as_millis() as u64 / 1000;
    let (targets, tables) = (Arc::downgrade(targets), tables.clone());
    thread::Builder::new().name("mirror".to_owned()).spawn(move || {
        give_way();
        Flows { flows: HashMap::new(), held: 0, seen: HashMap::new(), spare, when_busy, shower, tables }
            .read(copies, &targets);
    })?;
    Ok(())
}

struct Flows {
    flows: HashMap<DialKey, Flow>,
    /// Bytes that all of them hold.
    held: usize,
    /// Of ports.
    seen: HashMap<(u64, u16), Seen>,
    spare: Spare,
    /// Packets of a port that are copied from one look to the next although there is no time to spare.
    when_busy: u64,
    shower: Shower,
    tables: Arc<Tables>,
}

impl Flows {
    fn read(mut self, mut copies: RingBuf<MapData>, targets: &Weak<Targets>) {
        let (mut swept, mut looked) = (Instant::now(), Instant::now());
        while let Some(targets) = targets.upgrade() {
            let mut came = 0;
            while came < AT_ONCE
                && let Some(copy) = copies.next()
            {
                came += 1;
                self.take(&copy, &targets);
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.sweep(&targets);
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.look(&targets);
            }
            drop(targets);
            if came < AT_ONCE {
                thread::sleep(if came > 0 { PAUSE } else { REST });
            }
        }
    }

    fn take(&mut self, bytes: &[u8], targets: &Targets) {
        let Some((key, flags, part)) = split(bytes) else { return };
        if flags & ANSWER != 0 {
            return self.answered(&key, flags, &part);
        }
        if Flow::begins(flags) || !self.flows.contains_key(&key) {
            let found = targets.of(key.ns, key.local_port);
            let flow = found.and_then(|(target, pace)| Flow::of(target, pace, &key, flags, &part));
            let Some(flow) = flow else { return };
            self.end(&key);
            self.flows.insert(key, flow);
        }
        let is_full = self.flows.len() > MOST_FLOWS;
        let Some(flow) = self.flows.get_mut(&key) else { return };
        flow.pace().copied();
        let before = flow.held();
        let goes_on = flow.take(flags, &part, &self.shower);
        if flow.needs_all() {
            flow.pace().need_all(&self.tables);
        }
        if let Some(until) = flow.unwanted() {
            pass_over(&self.tables, &key, until);
        }
        self.held = self.held + flow.held() - before;
        if !goes_on || is_full || self.held > MOST_HELD {
            self.end(&key);
        }
    }

    /// Takes a packet of the app.
    fn answered(&mut self, key: &DialKey, flags: u32, part: &Part<'_>) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let before = flow.held();
        flow.answered(flags, part);
        if flow.needs_all() {
            flow.pace().copied();
        }
        self.held = self.held + flow.held() - before;
        if self.held > MOST_HELD {
            self.end(key);
        }
    }

    fn end(&mut self, key: &DialKey) {
        if let Some(flow) = self.flows.remove(key) {
            self.held -= flow.held();
            if flow.is_passed_over() {
                pass_over(&self.tables, key, None);
            }
            flow.end(&self.shower);
        }
    }

    /// Ends what is over. What is not copied any more is, too: it would keep a pod that has gone.
    fn sweep(&mut self, targets: &Targets) {
        let (mut held, mut over) = (0, Vec::new());
        for (key, flow) in &mut self.flows {
            if !targets.copies(key.ns, flow.pace()) || !flow.is_awaited(&self.shower) {
                over.push(*key);
            }
            held += flow.held();
        }
        self.held = held;
        over.iter().for_each(|key| self.end(key));
    }

    /// Copies as much as is kept up with, and counts what is not copied.
    fn look(&mut self, targets: &Targets) {
        let mut here = Vec::new();
        for (ns, copying) in targets.all().iter() {
            let Some(target) = copying.target.upgrade() else { continue };
            here.extend(copying.ports.iter().map(|(port, pace)| (*ns, *port, target.clone(), pace.clone())));
        }
        self.seen.retain(|(ns, port), _| here.iter().any(|it| (it.0, it.1) == (*ns, *port)));
        let most = (!self.spare.look()).then_some(self.when_busy);
        let mut is_reduced = false;
        for (ns, port, target, pace) in here {
            let seen = self.seen.entry((ns, port)).or_default();
            match pace.look(&self.tables, seen, most) {
                Ok(lost) => {
                    for shown in target.routes.load().shown(port) {
                        let rest = seen.rests.entry(shown.leg.index).or_default();
                        self.shower.lost(&shown.leg, lost.share(shown.percent(), rest));
                    }
                }
                Err(error) => tracing::debug!(%error, port, "cannot see what was not copied"),
            }
            is_reduced |= pace.is_reduced();
        }
        if is_reduced {
            // Of these nothing comes any more, for now; but what was in the ring may have begun them again.
            let left: Vec<DialKey> =
                self.flows.iter().filter(|(_, flow)| flow.is_left_out()).map(|(key, _)| *key).collect();
            left.iter().for_each(|key| self.end(key));
        }
    }
}

/// Has what is of no use not be copied. Where that fails it is, which costs time only.
fn pass_over(tables: &Tables, key: &DialKey, until: Option<u32>) {
    if let Err(error) = tables.pass_over(key, until) {
        tracing::debug!(%error, "cannot say what of a connection is of no use");
    }
}

/// The parts of a [`Copy`].
fn split(bytes: &[u8]) -> Option<(DialKey, u32, Part<'_>)> {
    let copy = Record::split(bytes, Copy::HEADER)?;
    let payload = copy.data(copy.word(52)?)?;
    Some((copy.key()?, copy.word(56)?, Part { seq: copy.word(48)?, payload, missing: copy.word(60)? }))
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn a_copy_is_split_where_the_program_put_it_together() {
        assert_eq!([offset_of!(Copy, seq), offset_of!(Copy, len), offset_of!(Copy, flags)], [48, 52, 56]);
        assert_eq!(offset_of!(Copy, missing), 60);
        let mut bytes = vec![0; Copy::HEADER];
        (bytes[0], bytes[40], bytes[44], bytes[48], bytes[52], bytes[56]) = (7, 1, 2, 3, 4, 24);
        bytes[60] = 5;
        bytes.extend(b"GET and padding");
        let (key, flags, part) = split(&bytes).unwrap();
        assert_eq!((key.ns, key.remote_port, key.local_port, flags), (7, 1, 2, 24));
        assert_eq!((part.seq, part.payload, part.missing), (3, &b"GET "[..], 5));
        assert!(split(&bytes[..Copy::HEADER + 3]).is_none(), "cut off");
    }
}
