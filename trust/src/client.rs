//! `kube::Client::try_from`, with this crate's idea of whom to trust: the library has no place to put that in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, Uri};
use hyper::rt::{Read, Write};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use percent_encoding::percent_decode_str;
use tower::retry::RetryLayer;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use crate::https;
use crate::unusable::{Unusable, has_scheme};

/// A client of the API server that the configuration names, through the proxy that it names.
///
/// # Errors
///
/// When the configuration is of no use, e.g. its server or its certificates.
pub fn client(config: Config) -> Result<Client, Unusable> {
    has_scheme(&config.cluster_url)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let Some(proxy) = config.proxy_url.clone() else { return over(&config, tcp) };
    match proxy.scheme_str() {
        Some("http") => over(&config, tunnel(proxy, tcp)),
        Some("https") => {
            let tls = https(&config)?.enable_http1().wrap_connector(tcp);
            over(&config, tunnel(proxy, tls))
        }
        // It says itself what it does not know.
        _ => Ok(Client::try_from(config)?),
    }
}

/// With the layers that the library has.
fn over<C>(config: &Config, connector: C) -> Result<Client, Unusable>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let mut connector = TimeoutConnector::new(https(config)?.enable_http1().wrap_connector(connector));
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    let http: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new()).build(connector);
    let http = ServiceExt::<Request<Body>>::map_err(http, BoxError::from);
    let stack = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry())))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .service(http);
    let stack = ServiceExt::<Request<Body>>::boxed(stack);
    Ok(ClientBuilder::new(stack, &config.default_namespace).build())
}

/// Through a proxy, with the name and the password that stand in its address.
fn tunnel<C>(proxy: Uri, connector: C) -> Tunnel<C> {
    let authority = proxy.authority().map(ToString::to_string).unwrap_or_default();
    let tunnel = Tunnel::new(proxy, connector);
    let Some((user, _)) = authority.rsplit_once('@') else { return tunnel };
    let user = STANDARD.encode(percent_decode_str(user).collect::<Vec<u8>>());
    match HeaderValue::try_from(format!("Basic {user}")) {
        Ok(value) => tunnel.with_auth(value),
        Err(_) => tunnel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn none_is_made_for_what_is_no_address() {
        let mut config = Config::new(Uri::from_static("127.0.0.1:6443"));
        assert!(matches!(https(&config), Err(Unusable::Server(_))));
        for proxy in [None, Some("http://127.0.0.1:1"), Some("socks5://127.0.0.1:1")] {
            config.proxy_url = proxy.map(Uri::from_static);
            assert!(matches!(client(config.clone()), Err(Unusable::Server(_))), "{proxy:?}");
        }
    }
}
