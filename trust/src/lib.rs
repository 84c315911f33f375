//! Whether a server is the API server that is meant, as kubectl decides it.
//!
//! A kubeconfig may name, where the authority's certificate should be, the server's own: people copy it from the server.
//! kubectl takes it (Go's crypto/x509: a leaf that is among the roots needs no issuer), webpki does not, as a CA must be
//! none and a leaf needs one. Everything else is webpki's.
#![forbid(unsafe_code)]

mod client;
mod refusal;
mod unusable;
mod verifier;

use std::sync::Arc;

use hyper_rustls::builderstates::WantsProtocols1;
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use kube::client::{ConfigExt as _, RustlsTlsError};
use kube::{Config, Error};

pub use client::client;
pub use hyper_rustls::HttpsConnector;
pub use refusal::{Refusal, refusal};
pub use unusable::{Unusable, has_scheme};
use verifier::Verifier;

/// The way to the server, once it is said which versions of HTTP are to be spoken.
///
/// # Errors
///
/// When the configuration is of no use, e.g. its server or its certificates.
pub fn https(config: &Config) -> Result<HttpsConnectorBuilder<WantsProtocols1>, Unusable> {
    has_scheme(&config.cluster_url)?;
    let mut tls = config.rustls_client_config()?;
    // Without roots of its own it is the machine's to decide.
    if let Some(roots) = config.root_cert.as_deref().filter(|_| !config.accept_invalid_certs)
        && let Some(verifier) = Verifier::new(roots, config.root_cert_file.clone())
    {
        tls.dangerous().set_certificate_verifier(Arc::new(verifier));
    }
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    Ok(match &config.tls_server_name {
        None => https,
        Some(name) => {
            let name = name.clone().try_into();
            let name = name.map_err(|error| Error::RustlsTls(RustlsTlsError::InvalidServerName(error)))?;
            https.with_server_name_resolver(FixedServerNameResolver::new(name))
        }
    })
}
