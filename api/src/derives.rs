//! What makes CRDs of types, or nothing at all: without the feature `kubernetes`.

#[cfg(not(feature = "kubernetes"))]
pub(crate) use byway_inert::{CustomResource, JsonSchema, KubeSchema};
#[cfg(feature = "kubernetes")]
pub(crate) use {
    kube::{CustomResource, KubeSchema},
    schemars::JsonSchema,
};
