//! The admin listener: health, metrics and status, on a thread and runtime of its own, so that a scrape never waits
//! behind a burst of traffic and traffic never behind a scrape.

mod metrics;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use arc_swap::{ArcSwap, ArcSwapOption};
use byway_api::NodeRoutesStatus;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;

use crate::admission::Admission;

/// Metrics of a part that this listener does not know, added to the others whenever they are asked for.
pub(crate) type Metrics = Box<dyn Fn(&mut Registry) + Send + Sync>;

/// What the admin listener tells.
pub(crate) struct Health {
    /// None before the programs are loaded.
    admission: OnceLock<Arc<Admission>>,
    /// Why the agent is not ready; none when it is.
    not_ready: ArcSwapOption<String>,
    bad_documents: AtomicU64,
    status: ArcSwap<NodeRoutesStatus>,
    /// How many are attached.
    targets: AtomicU64,
    source: Option<Metrics>,
}

impl Health {
    pub(crate) fn new(source: Option<Metrics>) -> Self {
        Self {
            admission: OnceLock::new(),
            not_ready: ArcSwapOption::from_pointee("starting".to_owned()),
            bad_documents: AtomicU64::new(0),
            status: ArcSwap::default(),
            targets: AtomicU64::new(0),
            source,
        }
    }

    /// Ready: every target of the first document is attached or refused.
    pub(crate) fn set_ready(&self) {
        self.not_ready.store(None);
    }

    pub(crate) fn set_not_ready(&self, why: &str) {
        self.not_ready.store(Some(Arc::new(why.to_owned())));
    }

    /// Whose connections are counted from now on.
    pub(crate) fn admits(&self, admission: &Arc<Admission>) {
        let _ = self.admission.set(admission.clone()); // there is one
    }

    pub(crate) fn count_bad_document(&self) {
        self.bad_documents.fetch_add(1, Relaxed);
    }

    /// Takes over what is live now.
    pub(crate) fn publish(&self, status: NodeRoutesStatus, targets: usize) {
        self.status.store(Arc::new(status));
        self.targets.store(targets as u64, Relaxed);
    }
}

/// Starts the listener: one passed by socket activation (`LISTEN_FDS`), else at `address`.
pub(crate) fn start(address: SocketAddr, health: &Arc<Health>) -> Result<()> {
    let passed = listenfd::ListenFd::from_env().take_tcp_listener(0).context("the listener passed on")?;
    let listener = match passed {
        Some(listener) => listener,
        None => std::net::TcpListener::bind(address).with_context(|| {
            format!("cannot listen on {address} for health and metrics: give another --admin")
        })?,
    };
    listener.set_nonblocking(true)?;
    tracing::info!(admin = %listener.local_addr()?, "health and metrics");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let health = health.clone();
    let serve = move || runtime.block_on(serve(listener, health));
    std::thread::Builder::new().name("admin".to_owned()).spawn(serve)?;
    Ok(())
}

async fn serve(listener: std::net::TcpListener, health: Arc<Health>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "no health and metrics"),
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let health = health.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = answer(request.uri().path(), &health);
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
            // A client that goes away in the middle is no matter of ours.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(path: &str, health: &Health) -> Response<Full<Bytes>> {
    let text = |status: StatusCode, body: &str| respond(status, "text/plain; charset=utf-8", body.to_owned());
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => match &*health.not_ready.load() {
            None => text(StatusCode::OK, "ready\n"),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {why}\n")),
        },
        "/metrics" => {
            let body = metrics::encode(health);
            respond(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", body)
        }
        "/status" => {
            let body =
                serde_json::to_string_pretty(&**health.status.load()).unwrap_or_else(|e| e.to_string());
            respond(StatusCode::OK, "application/json", body)
        }
        _ => text(StatusCode::NOT_FOUND, "try /healthz, /readyz, /metrics or /status\n"),
    }
}

fn respond(status: StatusCode, kind: &str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    }
    response
}
