//! Who of several replicas works: the one that holds the Lease.
//!
//! The library renews the lease, but it learns of a loss only from the API server: with that frozen it believed itself the
//! leader for as long as it stayed so. So the lease is read as well, and what it says of its own end is a deadline of this
//! process. When it comes, the process ends at once: only that stops a write that is on its way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;

use crate::args::Cli;

/// The name of the Lease.
const NAME: &str = "byway-controller";

/// When this replica may not write any more, unless the lease is confirmed before.
#[derive(Clone, Debug, Default)]
pub struct Term {
    end: Arc<Mutex<Option<End>>>,
}

/// By the clock that other replicas go by, and by one that nobody sets: set back, the first alone would lengthen the term.
#[derive(Clone, Copy, Debug)]
struct End {
    /// When the lease was renewed, as it says.
    renewed: Timestamp,
    wall: Timestamp,
    steady: Instant,
}

impl Term {
    /// Whether it has ended. A process that was stopped for a while finds out here, before anything else runs.
    pub fn is_over(&self) -> bool {
        self.left(Timestamp::now(), Instant::now()).is_zero()
    }

    /// The lease was renewed then. That it was is news only once.
    fn extend(&self, renewed: Timestamp, allowed: SignedDuration, wall: Timestamp, steady: Instant) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.is_none_or(|end| end.renewed != renewed) {
            let left = (renewed + allowed).duration_since(wall).clamp(SignedDuration::ZERO, allowed);
            let steady = steady + left.unsigned_abs();
            *end = Some(End { renewed, wall: renewed + allowed, steady });
        }
    }

    /// How long it lasts, as things are.
    fn left(&self, wall: Timestamp, steady: Instant) -> Duration {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.map_or(Duration::ZERO, |end| {
            let by_wall = end.wall.duration_since(wall).max(SignedDuration::ZERO).unsigned_abs();
            by_wall.min(end.steady.saturating_duration_since(steady))
        })
    }
}

/// This replica's part in the election.
pub struct Leadership {
    identity: String,
    leases: Api<Lease>,
    duration: SignedDuration,
    holds: watch::Receiver<bool>,
    task: tokio::sync::Mutex<Option<tokio::task::JoinHandle<kube_lease_manager::Result<LeaseManager>>>>,
}

impl Leadership {
    /// Takes part from now on.
    ///
    /// # Errors
    ///
    /// When there is no name for this replica, or the Lease cannot be made.
    pub async fn new(client: &Client, cli: &Cli) -> Result<Self> {
        let identity = match &cli.identity {
            Some(name) => name.clone(),
            None => format!("pid-{}-{}", std::process::id(), Timestamp::now().as_millisecond()),
        };
        let namespace = &cli.settings.namespace;
        let manager = LeaseManagerBuilder::new(client.clone(), NAME)
            .with_namespace(namespace)
            .with_identity(&identity)
            .with_duration(cli.lease)
            .with_grace((cli.lease / 2).max(1))
            .build()
            .await
            .with_context(|| {
                format!("cannot make the Lease {namespace}/{NAME}: may this account write leases there?")
            })?;
        let (holds, task) = manager.watch().await;
        Ok(Self {
            identity,
            leases: Api::namespaced(client.clone(), namespace),
            duration: SignedDuration::from_secs(cli.lease.cast_signed()),
            holds,
            task: Some(task).into(),
        })
    }

    /// Waits until this replica leads.
    ///
    /// # Errors
    ///
    /// When the election has ended.
    pub async fn won(&self) -> Result<Term> {
        self.holds.clone().wait_for(|holds| *holds).await.context("the election has ended")?;
        let term = Term::default();
        let now = Timestamp::now();
        term.extend(now, self.allowed(), now, Instant::now());
        Ok(term)
    }

    /// Waits until this replica may not lead any more, and says why.
    pub async fn lost(&self, term: &Term) -> anyhow::Error {
        let mut holds = self.holds.clone();
        tokio::select! {
            _ = holds.wait_for(|holds| !holds) => anyhow!("another replica leads"),
            why = self.end_of(term) => why,
        }
    }

    /// Another replica that sees the lease end must not meet a write of this one.
    fn allowed(&self) -> SignedDuration {
        self.duration - self.duration / 10
    }

    /// Watches the end of the lease by this process's own clock.
    async fn end_of(&self, term: &Term) -> anyhow::Error {
        let pause = (self.duration / 6).unsigned_abs();
        let left = || term.left(Timestamp::now(), Instant::now());
        while !term.is_over() {
            match tokio::time::timeout(left(), self.leases.get(NAME)).await {
                Ok(Ok(lease)) => {
                    let spec = lease.spec.unwrap_or_default();
                    if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
                        return anyhow!("the lease has gone to {}", spec.holder_identity.unwrap_or_default());
                    }
                    if let Some(renewed) = spec.renew_time {
                        term.extend(renewed.0, self.allowed(), Timestamp::now(), Instant::now());
                    }
                }
                Ok(Err(error)) => tracing::warn!(%error, "cannot read the lease"),
                Err(_) => {}
            }
            // The nearer the end, the more often: what was renewed has to be seen in time.
            tokio::time::sleep(pause.min(left() / 4)).await;
        }
        anyhow!("the lease could not be confirmed before its end: is the API server there?")
    }

    /// Gives the lease back, if this replica holds it.
    pub async fn release(self) {
        drop(self.holds);
        let Some(task) = self.task.into_inner() else { return };
        // The library gives it back when nobody listens any more.
        let _ = tokio::time::timeout(Duration::from_secs(2), task).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: SignedDuration = SignedDuration::from_secs(10);

    /// So long after it was renewed, by the clock on the wall and by the other one.
    fn left(term: &Term, (wall, steady): (Timestamp, Instant), by_wall: i64, by_steady: u64) -> u64 {
        let wall = wall + SignedDuration::from_secs(by_wall);
        term.left(wall, steady + Duration::from_secs(by_steady)).as_secs()
    }

    #[test]
    fn a_term_ends_by_the_clock_that_is_ahead() {
        let (term, now) = (Term::default(), (Timestamp::now(), Instant::now()));
        assert!(term.is_over(), "nothing is confirmed yet");
        term.extend(now.0, ALLOWED, now.0, now.1);
        assert_eq!(left(&term, now, 3, 3), 7);
        assert_eq!(left(&term, now, 11, 3), 0, "the process slept, or the clock was set");
        assert_eq!(left(&term, now, -3600, 9), 1, "set back, the clock gives no more time");
        assert_eq!(left(&term, now, -3600, 10), 0);
    }

    #[test]
    fn only_what_is_news_of_a_lease_extends_the_term() {
        let (term, now) = (Term::default(), (Timestamp::now(), Instant::now()));
        let after = |seconds| now.1 + Duration::from_secs(seconds);
        term.extend(now.0, ALLOWED, now.0, now.1);
        // The clock is set back by an hour, and the lease is read as it was.
        let back = now.0 - SignedDuration::from_hours(1);
        term.extend(now.0, ALLOWED, back, after(8));
        assert_eq!(left(&term, now, -3600, 9), 1);
        // It is renewed, by the clock as it is now: read two seconds later.
        term.extend(back, ALLOWED, back + SignedDuration::from_secs(2), after(10));
        assert_eq!(left(&term, now, -3600 + 2, 10), 8);
    }
}
