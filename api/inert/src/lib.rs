//! Derives that make nothing, under the names of those that make CRDs. So `byway-api` writes each type once, with the
//! attributes of its schema, and where nobody asks for schemas none of Kubernetes' types is compiled.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;

/// In place of schemars' own.
#[proc_macro_derive(JsonSchema, attributes(schemars))]
pub fn json_schema(_: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// In place of kube's own.
#[proc_macro_derive(KubeSchema, attributes(schemars, x_kube))]
pub fn kube_schema(_: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// In place of kube's own, which also makes a struct of the object.
#[proc_macro_derive(CustomResource, attributes(kube))]
pub fn custom_resource(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
