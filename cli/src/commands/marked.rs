//! Previews of `run`, which are known by a mark: whoever finds another one leaves it alone.

use byway_api::Preview;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt as _};

use crate::client::failure;
use crate::exit::Failure;

/// On a Preview: which run it belongs to.
pub(super) const RUN_ANNOTATION: &str = "byway.dev/run";

/// Deletes the Preview of a run; false if there is none.
pub(super) async fn delete(api: &Api<Preview>, name: &str, mark: &str) -> Result<bool, Failure> {
    let found = api.get_opt(name).await.map_err(|error| failure(&error))?;
    let is_ours = |it: &Preview| it.annotations().get(RUN_ANNOTATION).is_some_and(|it| it == mark);
    let Some(found) = found.filter(is_ours) else { return Ok(false) };
    let mut params = DeleteParams::background();
    params.preconditions = Some(Preconditions { uid: found.uid(), resource_version: None });
    match api.delete(name, &params).await {
        Ok(_) => Ok(true),
        // Somebody else was faster, or it is another one by now.
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(true),
        Err(error) => Err(failure(&error)),
    }
}
