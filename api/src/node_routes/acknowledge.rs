//! The request with which an agent acknowledges.

use http::header::ACCEPT;
use http::{HeaderValue, Request as HttpRequest};
use kube::Resource as _;
use kube::api::PostParams;
use kube::core::Request;
use kube::core::request::Error;
use serde_json::json;

use super::{NodeRoutes, NodeRoutesStatus};

/// Who writes, for the server's record of fields.
const MANAGER: &str = "byway-agent";
/// Nothing of the answer is wanted but its version; the table would be most of it.
const METADATA: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1");

impl NodeRoutesStatus {
    /// The request that replaces the status of the object `name`, as it was at `version`: of another one, or where the
    /// object has changed meanwhile, it is a conflict (409). It is answered by metadata.
    ///
    /// Replacing takes the API server less than patching, which writes the whole object down to change it.
    ///
    /// # Errors
    ///
    /// When `name` makes no request.
    pub fn replacing(&self, name: &str, uid: &str, version: &str) -> Result<HttpRequest<Vec<u8>>, Error> {
        let object = json!({
            "apiVersion": NodeRoutes::api_version(&()), "kind": NodeRoutes::kind(&()),
            "metadata": { "name": name, "uid": uid, "resourceVersion": version },
            "spec": { "table": "" }, // which the server replaces by what it has
            "status": self,
        });
        let how = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(&object).map_err(Error::SerializeBody)?;
        let url = NodeRoutes::url_path(&(), None);
        let mut request = Request::new(url).replace_subresource("status", name, &how, body)?;
        request.headers_mut().insert(ACCEPT, METADATA);
        Ok(request)
    }
}
