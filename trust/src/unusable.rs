//! Why there is no way to a server.

use http::Uri;
use http::uri::Scheme;

/// A configuration that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its server is no address. The library would panic at the first request.
    #[error("the server {0:?} needs https:// in front of a host")]
    Server(String),
    /// Anything else, e.g. its certificates.
    #[error(transparent)]
    Other(#[from] kube::Error),
}

/// Whether a server can be asked.
///
/// # Errors
///
/// When it has no scheme, one that is not HTTP's, or no host.
pub fn has_scheme(server: &Uri) -> Result<(), Unusable> {
    let is_known = [&Scheme::HTTPS, &Scheme::HTTP].into_iter().any(|it| server.scheme() == Some(it));
    if is_known && server.host().is_some_and(|host| !host.is_empty()) {
        return Ok(());
    }
    Err(Unusable::Server(server.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_needs_a_scheme_and_a_host() {
        for server in ["https://127.0.0.1:6443", "http://localhost", "https://[::1]:6443/k8s/clusters/c-1"] {
            has_scheme(&server.parse().unwrap()).unwrap();
        }
        for server in ["127.0.0.1:6443", "notaurl", "/run/socket", "ftp://127.0.0.1"] {
            let said = has_scheme(&server.parse().unwrap()).unwrap_err().to_string();
            assert!(said.contains(server) && said.contains("needs https://"), "{said}");
        }
    }
}
