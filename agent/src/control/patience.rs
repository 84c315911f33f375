//! When the app's own sockets are looked at, see [`Target::learn_patience`]: at once, and then after new clients, for an
//! app may say more of what it has accepted than of its listener.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::target::{Counter, Target};

/// From one look to the next, twice as long each time.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(64);

/// Of one target.
#[derive(Default)]
pub(super) struct Looks {
    next: Option<(Instant, Duration)>,
    /// Connections that had been accepted by then.
    accepted: u64,
}

impl Looks {
    /// Looks on a thread of its own, if it is time: a pod may have many processes.
    pub(super) fn look(&mut self, target: &Arc<Target>, ports: &[u16]) {
        let (now, accepted) = (Instant::now(), target.counter(Counter::Accepted).load(Relaxed));
        let pause = match self.next {
            None => FIRST,
            Some((at, pause)) if at <= now && accepted != self.accepted => (2 * pause).min(LAST),
            Some(_) => return,
        };
        (self.next, self.accepted) = (Some((now + pause, pause)), accepted);
        let (target, ports) = (target.clone(), ports.to_vec());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = target.learn_patience(&ports) {
                tracing::debug!(%error, target = target.name, "cannot look at the app's sockets");
            }
        });
    }
}
