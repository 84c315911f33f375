//! A steered pod: its namespace, the agent's listeners in it, and its routes.

pub(crate) mod listener;
mod netns;
mod patience;
mod processes;

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::SocketAddr,
    os::fd::AsFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, futures::Notified, watch};

pub(crate) use netns::{Netns, NetnsError, NetnsId, addresses};
use patience::Patience;
pub(crate) use processes::Processes;

use crate::{
    snapshot::Routes,
    tables::{Slot, Tables},
};

/// What the workers share of a target.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) slot: Slot,
    pub(crate) netns: Netns,
    /// The cookie of the namespace, as the maps have it.
    pub(crate) ns: u64,
    /// The port below 1024 that dials of IPv4 start from.
    pub(crate) dial_port: u16,
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) tables: Arc<Tables>,
    phase: watch::Sender<Phase>,
    /// How long the app bears a silent client, for each port that it is known of.
    patience: ArcSwap<HashMap<u16, Patience>>,
    /// Ports on which HTTP/2 was heard.
    http2: Mutex<BTreeSet<u16>>,
    /// For those who wait for other routes.
    routes_changed: Notify,
}

/// How far a target has come. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Connections are accepted.
    Accepting,
    /// The listeners are closed; what was accepted goes on.
    Closed,
    /// The pod has gone: everything is dropped at once.
    Gone,
}

impl Target {
    /// A target that accepts, and has no routes yet.
    pub(crate) fn new(
        name: String,
        slot: Slot,
        netns: Netns,
        ns: u64,
        dial_port: u16,
        tables: Arc<Tables>,
    ) -> Self {
        let phase = watch::Sender::new(Phase::Accepting);
        let (routes, patience, http2) = (ArcSwap::default(), ArcSwap::default(), Mutex::default());
        let routes_changed = Notify::new();
        Self { name, slot, netns, ns, dial_port, routes, tables, phase, patience, http2, routes_changed }
    }

    /// Has other routes be in force.
    pub(crate) fn set_routes(&self, routes: Arc<Routes>) {
        self.routes.store(routes);
        self.routes_changed.notify_waiters();
    }

    /// Ready when routes are set after this call.
    pub(crate) fn routes_change(&self) -> Notified<'_> {
        self.routes_changed.notified()
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Goes on to a phase, if it is a later one.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let forward = phase > *now;
            *now = phase.max(*now);
            forward
        });
    }

    /// The pod has gone: every socket is closed at once, for each would keep the namespace alive.
    pub(crate) fn let_go(&self) {
        self.advance(Phase::Gone);
    }

    /// Gives an accepted socket to the user whose app listens at `local`, see [`listener::open`].
    pub(crate) fn own(&self, accepted: impl AsFd, local: SocketAddr) {
        if let Some(uid) = self.tables.listening_uid(self.ns, local) {
            listener::own(accepted, uid);
        }
    }

    /// Looks at how long the app bears clients that are silent, for those to come: a few milliseconds.
    pub(crate) fn learn_patience(&self, ports: &[u16]) -> io::Result<()> {
        let found = patience::look(&self.netns, ports)?;
        if **self.patience.load() != found {
            tracing::debug!(target = self.name, ?found, "how long the app bears a silent client");
            self.patience.store(Arc::new(found));
        }
        Ok(())
    }

    /// Has the client of an accepted socket be borne as the app would, as far as is known.
    pub(crate) fn bear(&self, accepted: impl AsFd, port: u16) {
        if let Some(patience) = self.patience.load().get(&port)
            && let Err(error) = patience.set(accepted)
        {
            tracing::debug!(%error, target = self.name, "a client is not borne as by the app");
        }
    }

    /// HTTP/2 is spoken on this port.
    pub(crate) fn learn_http2(&self, port: u16) {
        if self.http2.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            tracing::info!(
                target = self.name,
                port,
                "HTTP/2 is spoken here: new connections go through the agent"
            );
        }
    }

    /// HTTP/2 is said to be spoken on these.
    pub(crate) fn take_for_http2(&self, ports: &[u16]) {
        self.http2.lock().unwrap_or_else(PoisonError::into_inner).extend(ports);
    }

    /// Whether it is, as far as was said or heard.
    pub(crate) fn speaks_http2(&self, port: u16) -> bool {
        self.http2.lock().unwrap_or_else(PoisonError::into_inner).contains(&port)
    }

    /// Adds one to a counter.
    pub(crate) fn count(&self, what: Counter) {
        self.counter(what).fetch_add(1, Relaxed);
    }

    pub(crate) fn counter(&self, what: Counter) -> &AtomicU64 {
        &self.tables.target_counters(self.slot.index())[what.index()]
    }
}

/// A field of [`byway_abi::TargetCounters`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    Accepted,
    Open,
    AppRequests,
    PreviewRequests,
    UnknownKey,
    DialFailed,
    OldOpen,
    OldRequests,
    OldMissed,
    OldLost,
    OldDrained,
    DirectTaken,
    DirectMissed,
    Opaque(byway_http::Doubt),
}

impl Counter {
    /// Which word of the counters.
    pub(crate) fn index(self) -> usize {
        use std::mem::offset_of;

        use byway_abi::TargetCounters as T;
        let offset = match self {
            Self::Accepted => offset_of!(T, accepted),
            Self::Open => offset_of!(T, open),
            Self::AppRequests => offset_of!(T, app_requests),
            Self::PreviewRequests => offset_of!(T, preview_requests),
            Self::UnknownKey => offset_of!(T, unknown_key),
            Self::DialFailed => offset_of!(T, dial_failed),
            Self::OldOpen => offset_of!(T, old_open),
            Self::OldRequests => offset_of!(T, old_requests),
            Self::OldMissed => offset_of!(T, old_missed),
            Self::OldLost => offset_of!(T, old_lost),
            Self::OldDrained => offset_of!(T, old_drained),
            Self::DirectTaken => offset_of!(T, direct_taken),
            Self::DirectMissed => offset_of!(T, direct_missed),
            Self::Opaque(doubt) => offset_of!(T, opaque) + 8 * doubt as usize,
        };
        offset / 8
    }
}

// The programs count some of them themselves, and do not know the enumeration.
const _: () = {
    use byway_abi::direct::opaque;
    use byway_http::Doubt;
    assert!(opaque::NOT_HTTP == Doubt::NotHttp as usize);
    assert!(opaque::TLS == Doubt::Tls as usize);
    assert!(opaque::SERVER_SPOKE_FIRST == Doubt::ServerSpokeFirst as usize);
};
