//! Which pods are a target's: as many watches are needed as there are scopes.

use crate::rows::Name;

/// Pods of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The namespace.
    pub namespace: Name,
    /// Which of its pods.
    pub pods: Pods,
}

/// Which pods of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pods {
    /// Those that a label selector finds, as the API server takes it.
    Selected(Name),
    /// The one of this name.
    Named(Name),
}
