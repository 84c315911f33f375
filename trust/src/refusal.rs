//! Why a server was not taken for the API server, in words: that is no matter of the network.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// What is wrong with a server's certificate, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: &'static str,
}

const CLOCK: &str = "is this machine's clock right? Else the cluster's certificates have to be renewed";
const ANOTHER: &str = "the cluster needs another serving certificate";

/// What an error says of the server's certificate, if it is about that.
#[must_use]
pub fn refusal(error: &(dyn Error + 'static)) -> Option<Refusal> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(words(why));
        }
        // An error of input has another one in it that is not its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|it| it as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn words(why: &CertificateError) -> Refusal {
    use CertificateError as Why;
    let (what, fix) = match why {
        Why::UnknownIssuer | Why::BadSignature => (
            "it is neither signed by the certificate that the kubeconfig trusts, nor that one itself"
                .to_owned(),
            "is it another cluster's kubeconfig, or did the cluster get another authority? Fetch the kubeconfig anew",
        ),
        Why::NotValidForName | Why::NotValidForNameContext { .. } => (
            format!("it is for another name: {why}"),
            "call the server by a name that its certificate has, or set `tls-server-name` in the kubeconfig",
        ),
        Why::Expired | Why::ExpiredContext { .. } => ("it has expired".to_owned(), CLOCK),
        Why::NotValidYet | Why::NotValidYetContext { .. } => ("it is not valid yet".to_owned(), CLOCK),
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => {
            ("it is not for servers".to_owned(), ANOTHER)
        }
        why => (format!("it cannot be used: {why}"), ANOTHER),
    };
    Refusal { what, fix }
}
