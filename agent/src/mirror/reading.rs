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
    flow::{Flow, Part},
    shower::Shower,
};
use crate::{snapshot::Copies, sys::give_way, tables::Tables};

/// Between looks at the ring, while something comes and while nothing does.
const PAUSE: Duration = Duration::from_millis(2);
const REST: Duration = Duration::from_millis(20);
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
) -> io::Result<()> {
    let shower = Shower::start(totals)?;
    let (targets, tables) = (Arc::downgrade(targets), tables.clone());
    thread::Builder::new().name("mirror".to_owned()).spawn(move || {
        give_way();
        Flows { flows: HashMap::new(), held: 0, lost: HashMap::new(), shower, tables }.read(copies, &targets);
    })?;
    Ok(())
}

struct Flows {
    flows: HashMap<DialKey, Flow>,
    /// Bytes that all of them hold.
    held: usize,
    /// Of ports, what has been lost of them so far.
    lost: HashMap<(u64, u16), u64>,
    shower: Shower,
    tables: Arc<Tables>,
}

impl Flows {
    fn read(mut self, mut copies: RingBuf<MapData>, targets: &Weak<Targets>) {
        let mut swept = Instant::now();
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
            drop(targets);
            if came < AT_ONCE {
                thread::sleep(if came > 0 { PAUSE } else { REST });
            }
        }
    }

    fn take(&mut self, bytes: &[u8], targets: &Targets) {
        let Some((key, flags, part)) = split(bytes) else { return };
        if flags & ANSWER != 0 {
            if let Some(flow) = self.flows.get_mut(&key) {
                flow.answered(part.payload);
            }
            return;
        }
        if Flow::begins(flags) || !self.flows.contains_key(&key) {
            let target = targets.all().get(&key.ns).and_then(Weak::upgrade);
            let Some(flow) = target.and_then(|target| Flow::of(target, &key, flags, &part)) else { return };
            if let Some(before) = self.flows.remove(&key) {
                self.held -= before.held();
            } else if self.flows.len() >= MOST_FLOWS {
                return;
            }
            self.flows.insert(key, flow);
        }
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let before = flow.held();
        let goes_on = flow.take(flags, &part, &self.shower);
        self.held = self.held + flow.held() - before;
        if !goes_on || self.held > MOST_HELD {
            self.held -= flow.held();
            if let Some(flow) = self.flows.remove(&key) {
                flow.end(&self.shower);
            }
        }
    }

    fn sweep(&mut self, targets: &Targets) {
        let (shower, mut held) = (&self.shower, 0);
        self.flows.retain(|_, flow| {
            let stays = flow.is_awaited(shower);
            held += if stays { flow.held() } else { 0 };
            stays
        });
        self.held = held;
        let here: Vec<_> = targets.all().values().filter_map(Weak::upgrade).collect();
        let mut lost = HashMap::new();
        for target in here {
            let routes = target.routes.load();
            for port in &routes.ports {
                let Ok(Some(now)) = self.tables.lost_copies(target.ns, *port) else { continue };
                let before = self.lost.get(&(target.ns, *port)).copied().unwrap_or_default();
                routes.shown(*port).for_each(|shown| shower.lost(&shown.leg, now.saturating_sub(before)));
                lost.insert((target.ns, *port), now);
            }
        }
        self.lost = lost;
    }
}

/// The parts of a [`Copy`].
fn split(bytes: &[u8]) -> Option<(DialKey, u32, Part<'_>)> {
    let (header, data) = bytes.split_at_checked(Copy::HEADER)?;
    let word = |at: usize| Some(u32::from_ne_bytes(*header.get(at..)?.first_chunk()?));
    let addr = |at: usize| Some([word(at)?, word(at + 4)?, word(at + 8)?, word(at + 12)?]);
    let key = DialKey {
        ns: u64::from_ne_bytes(*header.first_chunk()?),
        remote: addr(8)?,
        local: addr(24)?,
        remote_port: word(40)?,
        local_port: word(44)?,
    };
    Some((key, word(56)?, Part { seq: word(48)?, payload: data.get(..word(52)? as usize)? }))
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn a_copy_is_split_where_the_program_put_it_together() {
        assert_eq!([offset_of!(Copy, seq), offset_of!(Copy, len), offset_of!(Copy, flags)], [48, 52, 56]);
        let mut bytes = vec![0; Copy::HEADER];
        (bytes[0], bytes[40], bytes[44], bytes[48], bytes[52], bytes[56]) = (7, 1, 2, 3, 4, 24);
        bytes.extend(b"GET and padding");
        let (key, flags, part) = split(&bytes).unwrap();
        assert_eq!((key.ns, key.remote_port, key.local_port, flags), (7, 1, 2, 24));
        assert_eq!((part.seq, part.payload), (3, &b"GET "[..]));
        assert!(split(&bytes[..Copy::HEADER + 3]).is_none(), "cut off");
    }
}
