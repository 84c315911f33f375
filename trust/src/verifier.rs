//! Decides on the certificate of a server.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

#[cfg(test)]
mod tests;

/// Takes a server whose certificate is one of the roots itself, and else what webpki takes.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// Where the roots are, if they may change: those of a pod do, when the cluster gets another authority.
    file: Option<PathBuf>,
    /// What was good last.
    last: Mutex<Arc<Roots>>,
}

#[derive(Debug)]
struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    chains: Arc<WebPkiServerVerifier>,
}

impl Verifier {
    /// Of these certificates; none where nobody could be trusted by them.
    pub(crate) fn new(roots: &[Vec<u8>], file: Option<PathBuf>) -> Option<Self> {
        let roots = Roots::new(roots.iter().cloned().map(CertificateDer::from).collect())?;
        Some(Self { file, last: Mutex::new(Arc::new(roots)) })
    }

    /// As the file is now: connections are few, and the file is small.
    fn roots(&self) -> Arc<Roots> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.file.as_ref().and_then(|file| fs::read(file).ok()).unwrap_or_default();
        let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        if let Some(roots) = certificates.ok().and_then(Roots::new) {
            *last = Arc::new(roots);
        }
        last.clone()
    }
}

impl Roots {
    fn new(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        let chains = WebPkiServerVerifier::builder(Arc::new(store)).build().ok()?;
        Some(Self { certificates, chains })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = self.roots();
        if roots.certificates.iter().any(|root| root == end_entity) {
            return pinned(end_entity, server_name, now);
        }
        let verified =
            roots.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // That it is an authority's, say: what matters is that nobody here vouches for it.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if is_its_own_issuer(end_entity) => {
                Err(CertificateError::UnknownIssuer.into())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots().chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots().chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots().chains.supported_verify_schemes()
    }
}

fn is_its_own_issuer(cert: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(cert).is_ok_and(|(_, fields)| fields.issuer() == fields.subject())
}

/// Nobody need vouch for a certificate that is trusted as it is. It must be for now, for servers, and for this name, as
/// Go has it.
fn pinned(
    cert: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let parsed = ParsedCertificate::try_from(cert)?;
    let (_, fields) = X509Certificate::from_der(cert).map_err(|_| CertificateError::BadEncoding)?;
    let (now, validity) = (i64::try_from(now.as_secs()).unwrap_or(i64::MAX), fields.validity());
    if now < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    let usage = fields.extended_key_usage().map_err(|_| CertificateError::BadEncoding)?;
    if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    verify_server_name(&parsed, name)?;
    Ok(ServerCertVerified::assertion())
}
