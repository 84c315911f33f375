//! The way to the API server, and how it stands with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use backon::ExponentialBuilder;
use byway_api::NodeRoutes;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Api, Client, Config,
    api::{ApiResource, DynamicObject},
    client::{Body, ClientBuilder, ConfigExt as _},
    runtime::watcher::ExponentialBackoff,
};
use prometheus_client::{
    metrics::{counter::Counter as Count, gauge::Gauge},
    registry::{Registry, Unit},
};
use tower::{
    BoxError,
    util::{MapErrLayer, MapResponseLayer, option_layer},
};

use crate::kernel::sys::monotonic_ns;

/// A server that does not answer for this long, not even the kernel's probes, is taken for dead.
const DEAD: Duration = Duration::from_secs(15);

/// The way to the node's object.
///
/// # Errors
///
/// When neither `KUBECONFIG` nor the pod says where the API server is.
pub(crate) async fn connect(contact: &Arc<Contact>) -> Result<Api<DynamicObject>> {
    let config = Config::infer()
        .await
        .context("where do the routes come from? give --routes FILE, set KUBECONFIG, or run in a cluster")?;
    let contact = contact.clone();
    let answered = MapResponseLayer::new(move |response: hyper::Response<_>| {
        if response.status().is_success() {
            contact.answered();
        }
        response
    });
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true); // else an acknowledgement waits 40 ms for that of its first half
    tcp.set_keepalive(Some(DEAD / 3));
    tcp.set_keepalive_interval(Some(DEAD / 3));
    tcp.set_tcp_user_timeout(Some(DEAD));
    tcp.set_connect_timeout(Some(DEAD));
    let tls = byway_trust::https(&config)?.enable_http1().wrap_connector(tcp);
    let http: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new()).build(tls);
    let client: Client = ClientBuilder::new(http, config.default_namespace.clone())
        .with_layer(&MapErrLayer::new(BoxError::from))
        .with_layer(&option_layer(config.auth_layer()?))
        .with_layer(&config.base_uri_layer())
        .with_layer(&answered)
        .build();
    Ok(Api::all_with(client, &ApiResource::erase::<NodeRoutes>(&())))
}

/// Pauses before the server is asked again. The library's own grow to half a minute, and do not shrink for two: a server
/// that restarts a few times would leave the agent blind for as long.
pub(crate) fn pauses() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(400))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times();
    pauses.into()
}

/// Counted on the control runtime, read by the admin listener.
#[derive(Default)]
pub(crate) struct Contact {
    /// `CLOCK_MONOTONIC`; 0 before the first.
    last_answer: AtomicU64,
    watch_restarts: AtomicU64,
    acks: AtomicU64,
    ack_errors: AtomicU64,
}

impl Contact {
    /// The server has answered a request as it was asked to.
    pub(crate) fn answered(&self) {
        self.last_answer.store(monotonic_ns(), Relaxed);
    }

    pub(crate) fn count_watch_restart(&self) {
        self.watch_restarts.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_ack(&self) {
        self.acks.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_ack_error(&self) {
        self.ack_errors.fetch_add(1, Relaxed);
    }

    /// For the admin listener.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let mut count = |name: &str, help: &str, value: &AtomicU64| {
            let counter = Count::<u64>::default();
            counter.inc_by(value.load(Relaxed));
            registry.register(name, help, counter);
        };
        count("acks", "Acknowledgements written", &self.acks);
        count("ack_errors", "Acknowledgements that the API server did not take", &self.ack_errors);
        count("watch_restarts", "Errors of the watch of the node's routes", &self.watch_restarts);
        if let Some(age) = self.age() {
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(age.as_secs_f64());
            let help = "Time since the API server last answered";
            registry.register_with_unit("api_contact_age", help, Unit::Seconds, gauge);
        }
    }

    /// How long ago the last answer came; none before the first.
    fn age(&self) -> Option<Duration> {
        let last = self.last_answer.load(Relaxed);
        (last > 0).then(|| Duration::from_nanos(monotonic_ns().saturating_sub(last)))
    }
}
