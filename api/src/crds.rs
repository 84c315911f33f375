//! The CRDs of both objects, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use crate::{NodeRoutes, Preview};

/// Both, with the names of their files.
#[must_use]
pub fn crds() -> Vec<(&'static str, CustomResourceDefinition)> {
    let mut crds = vec![("previews", Preview::crd()), ("noderoutes", NodeRoutes::crd())];
    for (_, crd) in &mut crds {
        for version in &mut crd.spec.versions {
            if let Some(schema) = version.schema.as_mut().and_then(|it| it.open_api_v3_schema.as_mut()) {
                tidy(schema);
            }
        }
    }
    crds
}

/// An explicit null would be there for CEL's `has`, and be absent for us: no field takes one. And the API server knows no
/// formats for unsigned integers and addresses of either family.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint") || format == "ip") {
        schema.format = None;
    }
    schema.properties.iter_mut().flat_map(|it| it.values_mut()).for_each(tidy);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}
