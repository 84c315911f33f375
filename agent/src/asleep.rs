//! Requests that wait for a preview that sleeps.
//!
//! Who waits is seen by the controller in the time of the preview's last request, which is told at once. It makes pods, and
//! the preview's next routes name them. Nothing is read meanwhile beyond what the client has sent with the head.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use crate::{
    snapshot::{Leg, Preview},
    tables::unix_ms,
    target::Target,
};

/// Most that wait at a time on a node: each holds its connection, and up to 64 KiB of what the client has sent.
const MOST: usize = 1024;
/// That somebody waits for a preview is told no more often, in milliseconds.
const AGAIN: u64 = 1000;

/// Who waits on this node.
pub(crate) struct Sleepers {
    room: Semaphore,
    called: Notify,
}

/// Why a preview that sleeps has not taken a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Asleep {
    #[error("sleeps, and no pod of it was ready within {} s (its wakeTimeout)", .0.as_secs())]
    DidNotWake(Duration),
    #[error("sleeps, and {MOST} requests on this node wait for previews already")]
    Full,
    #[error("has ended while it slept")]
    Ended,
}

impl Asleep {
    /// If that is what an error says.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<Asleep> for io::Error {
    fn from(asleep: Asleep) -> Self {
        Self::new(io::ErrorKind::NotConnected, asleep)
    }
}

impl Default for Sleepers {
    fn default() -> Self {
        Self { room: Semaphore::new(MOST), called: Notify::new() }
    }
}

impl Sleepers {
    /// Somebody waits whom nobody has been told of.
    pub(crate) async fn called(&self) {
        self.called.notified().await;
    }

    /// The preview as it is once it has a pod, for a request to `port` of the target.
    pub(crate) async fn awake(
        &self,
        target: &Target,
        port: u16,
        leg: &Arc<Leg>,
    ) -> Result<Arc<Preview>, Asleep> {
        let preview = &leg.preview;
        let Some(patience) = preview.route.wake_timeout.filter(|_| preview.sleeps()) else {
            return Ok(preview.clone());
        };
        let _place = self.room.try_acquire().map_err(|_| Asleep::Full)?;
        let now = unix_ms();
        if now.saturating_sub(preview.called.swap(now, Relaxed)) >= AGAIN {
            self.called.notify_one();
        }
        let woken = timeout(patience, woken(target, port, &preview.route.name)).await;
        woken.unwrap_or(Err(Asleep::DidNotWake(patience)))
    }
}

/// Waits until the preview has a pod.
async fn woken(target: &Target, port: u16, name: &str) -> Result<Arc<Preview>, Asleep> {
    loop {
        let changed = target.routes_change();
        let routes = target.routes.load();
        let leg = routes.at(port).legs.iter().find(|leg| leg.preview.route.name == name);
        match leg.map(|leg| &leg.preview) {
            None => return Err(Asleep::Ended),
            Some(preview) if !preview.route.backends.is_empty() => return Ok(preview.clone()),
            Some(_) => {}
        }
        drop(routes);
        changed.await;
    }
}
