//! What the administrator decides.

use crate::rows::Name;

/// Settings that bear on what is planned.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// A match may be without a key.
    pub allow_keyless: bool,
    /// Where the agents run.
    pub agents_namespace: Name,
}
