//! Connections that watches, and writes, share.
//!
//! The library gives each watch a connection of its own (HTTP/1.1), which is some 100 KiB of buffers: with a watch for each
//! target they would be most of this process. Over HTTP/2 a watch, or a write, is a stream. A server that only speaks
//! HTTP/1.1 gets what it got before.

use std::sync::Arc;
use std::time::Duration;

use byway_trust::HttpsConnector;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::filter::FilterLayer;
use tower::util::BoxService;
use tower::{BoxError, ServiceBuilder, ServiceExt};

use crate::leader::Term;

/// Watches on one connection. A server allows 100 streams at least (RFC 9113 §6.5.2 advises it, and it is what an API
/// server takes by default); a stream above its limit would wait, and say nothing.
const WATCHES: usize = 32;
/// Bytes that a server may send ahead on a stream, and on a connection.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// A connection is asked so often whether it still stands. HTTP/1.1 begins each watch on another one, here it would be the
/// dead one again.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A server that has too much to do answers late, and would have more with all watches begun again.
const ANSWER: Duration = Duration::from_secs(20);

type Stack = BoxService<Request<Body>, Response<Incoming>, BoxError>;

/// Makes clients of the API server, and shares them out among watches.
pub struct Connections {
    config: Config,
    connector: TimeoutConnector<HttpsConnector<HttpConnector>>,
    shared: Vec<Arc<Client>>,
}

impl Connections {
    /// None yet.
    ///
    /// # Errors
    ///
    /// When the configuration is of no use, e.g. its certificates.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let https = byway_trust::https(&config)?.enable_all_versions().wrap_connector(http);
        let mut connector = TimeoutConnector::new(https);
        connector.set_connect_timeout(config.connect_timeout);
        connector.set_read_timeout(config.read_timeout);
        connector.set_write_timeout(config.write_timeout);
        Ok(Self { config, connector, shared: Vec::new() })
    }

    /// A connection with room for one more watch, which has its place for as long as it keeps this.
    ///
    /// # Errors
    ///
    /// When the configuration is of no use, e.g. a token that cannot be read.
    pub fn place(&mut self) -> kube::Result<Arc<Client>> {
        self.shared.retain(|client| Arc::strong_count(client) > 1);
        if let Some(client) = self.shared.iter().find(|client| Arc::strong_count(client) <= WATCHES) {
            return Ok(client.clone());
        }
        let client = Arc::new(self.client()?);
        self.shared.push(client.clone());
        Ok(client)
    }

    /// A client with a connection of its own, that reads.
    ///
    /// # Errors
    ///
    /// As of [`Self::place`].
    pub fn client(&self) -> kube::Result<Client> {
        Ok(self.builder()?.build())
    }

    /// The same, that writes nothing once the term has ended. A process that was stopped in the middle of something goes on
    /// with that before it looks at the time.
    ///
    /// # Errors
    ///
    /// As of [`Self::place`].
    pub fn writer(&self, term: &Term) -> kube::Result<Client> {
        let term = term.clone();
        let may_pass = move |request: Request<Body>| {
            let reads = request.method() == Method::GET;
            if reads || !term.is_over() { Ok(request) } else { Err("the lease has ended") }
        };
        Ok(self.builder()?.with_layer(&FilterLayer::new(may_pass)).build())
    }

    fn builder(&self) -> kube::Result<ClientBuilder<Stack>> {
        let http: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(ANSWER)
            .build(self.connector.clone());
        let http = ServiceExt::<Request<_>>::map_err(http, BoxError::from);
        let config = &self.config;
        let stack = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer()?)
            .layer(config.extra_headers_layer()?)
            .service(http);
        Ok(ClientBuilder::new(stack.boxed(), &config.default_namespace))
    }
}
