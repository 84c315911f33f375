//! What is as always is not written: it costs nothing to store, and a NodeRoutes of a hundred previews is written for each
//! change of one.

/// Whether a field has its default, for serde's `skip_serializing_if`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The default of a field that is true unless said otherwise.
pub(crate) const fn yes() -> bool {
    true
}

/// Whether such a field has its default.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
pub(crate) const fn is_yes(value: &bool) -> bool {
    *value
}
