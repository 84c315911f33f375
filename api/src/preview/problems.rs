//! What is wrong with a Preview that the CRD's rules cannot tell.

use super::{PreviewSpec, schema};
use crate::{Key, MatchError};

/// Why a Preview cannot work until it is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A match that is not usable.
    #[error("incoming.match: {0}")]
    Match(#[from] MatchError),
    /// No way through it may be without the key.
    #[error("incoming.match: {}", schema::KEYLESS)]
    Keyless,
}

impl Problem {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Match(_) => "BadMatch",
            Self::Keyless => "Keyless",
        }
    }
}

impl PreviewSpec {
    /// The first thing that is wrong and that the CRD's rules let pass. `key` is the key in force.
    ///
    /// # Errors
    ///
    /// With what to write instead.
    pub fn check(&self, key: &Key, allow_keyless: bool) -> Result<(), Problem> {
        let Some(match_) = &self.incoming.match_ else { return Ok(()) };
        match match_.compile(key, allow_keyless) {
            Ok(_) => Ok(()),
            Err(MatchError::Keyless { .. }) => Err(Problem::Keyless),
            Err(error) => Err(error.into()),
        }
    }
}
