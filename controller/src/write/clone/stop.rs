//! What ends an attempt to bring a clone to what is wanted.

use byway_plan::clone::Refusal;

use crate::write::WriteError;

/// What ends an attempt.
pub(super) enum Stop {
    /// Try again.
    Write(WriteError),
    /// Nothing helps until something changes.
    No(String, String),
    /// The same, in the API server's words.
    Rejected(String),
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        match error {
            // What the API server does not take now it will not take later, unless it was busy.
            kube::Error::Api(status) if matches!(status.code, 400 | 403 | 413 | 422) => {
                Self::Rejected(status.message)
            }
            error => Self::Write(error.into()),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::No(refusal.code().to_owned(), refusal.to_string())
    }
}
