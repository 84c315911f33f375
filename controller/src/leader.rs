//! Who of several replicas works: the one that holds the Lease.
//!
//! The library renews the lease, but it learns of a loss only from the API server: with that frozen it believed itself the
//! leader for as long as it stayed so. So the lease is read as well, and what it says of its own end is a deadline of this
//! process. When it comes, the process ends at once: only that stops a write that is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use hyper::{Method, Request};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::{Body, ClientBuilder};
use kube::{Api, Client, Config};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tower::filter::FilterLayer;

use crate::args::Cli;

/// The name of the Lease.
const NAME: &str = "byway-controller";

/// When this replica may not write any more, unless the lease is confirmed before.
#[derive(Clone, Debug, Default)]
pub struct Term {
    /// Milliseconds of Unix time.
    end: Arc<AtomicI64>,
}

impl Term {
    /// Whether it has ended. A process that was stopped for a while finds out here, before anything else runs.
    pub fn is_over(&self) -> bool {
        Timestamp::now().as_millisecond() >= self.end.load(Relaxed)
    }

    /// A client that writes nothing once it has ended. A process that was stopped in the middle of something goes on with
    /// that before it looks at the time.
    ///
    /// # Errors
    ///
    /// When the configuration is of no use.
    pub fn client(&self, config: Config) -> kube::Result<Client> {
        let term = self.clone();
        let may_pass = move |request: Request<Body>| {
            let reads = request.method() == Method::GET;
            if reads || !term.is_over() { Ok(request) } else { Err("the lease has ended") }
        };
        Ok(ClientBuilder::try_from(config)?.with_layer(&FilterLayer::new(may_pass)).build())
    }

    fn extend(&self, end: Timestamp) {
        self.end.fetch_max(end.as_millisecond(), Relaxed);
    }

    fn left(&self) -> Duration {
        let left = self.end.load(Relaxed) - Timestamp::now().as_millisecond();
        Duration::from_millis(left.max(0).unsigned_abs())
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
        term.extend(Timestamp::now() + self.allowed());
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
        while !term.is_over() {
            match tokio::time::timeout(term.left(), self.leases.get(NAME)).await {
                Ok(Ok(lease)) => {
                    let spec = lease.spec.unwrap_or_default();
                    if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
                        return anyhow!("the lease has gone to {}", spec.holder_identity.unwrap_or_default());
                    }
                    if let Some(renewed) = spec.renew_time {
                        term.extend(renewed.0 + self.allowed());
                    }
                }
                Ok(Err(error)) => tracing::warn!(%error, "cannot read the lease"),
                Err(_) => {}
            }
            // The nearer the end, the more often: what was renewed has to be seen in time.
            tokio::time::sleep(pause.min(term.left() / 4)).await;
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
