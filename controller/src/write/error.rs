//! What keeps a write from being made.

use std::time::Duration;

use tokio::task::JoinError;

/// Longest wait for an answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);

/// A write that the API server did not take, or that did not reach it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server said no, or nothing.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// No answer in time.
    #[error("the API server did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// A defect of this program.
    #[error("the write ended without a result: {0}")]
    Panic(#[from] JoinError),
}

impl WriteError {
    /// A stable code: the API server's reason, or what happened to the request.
    pub fn code(&self) -> &str {
        match self {
            Self::Api(kube::Error::Api(status)) if !status.reason.is_empty() => &status.reason,
            Self::Api(kube::Error::Api(_)) => "Api",
            Self::Api(_) => "Connection",
            Self::Timeout => "Timeout",
            Self::Panic(_) => "Panic",
        }
    }
}

/// Whether the object is not there.
pub fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
