//! `version`: of this command, and of Byway in the cluster.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde::Serialize;

use super::Done;
use crate::args::{Global, StructuredFormat, VersionArgs};
use crate::client::Cluster;
use crate::exit::{Exit, Failure};
use crate::output;

/// What the chart calls the controller.
const CONTROLLER: &str = "app.kubernetes.io/component=byway-controller";

#[derive(Serialize)]
struct Versions {
    client: &'static str,
    /// Where it can be read: who may only edit a namespace cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<String>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

pub(super) async fn run(global: &Global, args: &VersionArgs) -> Done {
    let mut versions = Versions { client: env!("CARGO_PKG_VERSION"), controller: None, unknown: None };
    let mut unreached = None;
    if !args.client {
        match controller(global).await {
            Ok(version) => versions.controller = Some(version),
            Err(failure) => {
                versions.unknown = Some(failure.message.clone());
                // That there is none, or that this user may not see it, is an answer.
                unreached = Some(failure).filter(|it| it.exit == Exit::Unreachable);
            }
        }
    }
    output::print(&match args.output {
        Some(StructuredFormat::Json) => output::json(&versions)?,
        Some(StructuredFormat::Yaml) => output::yaml(&versions)?,
        None => text(&versions),
    })?;
    unreached.map_or(Ok(Exit::Ok.code()), Err)
}

fn text(versions: &Versions) -> String {
    let mut text = format!("kubectl-preview {}\n", versions.client);
    match (&versions.controller, &versions.unknown) {
        (Some(version), _) => text.push_str(&format!("controller      {version}\n")),
        (None, Some(why)) => text.push_str(&format!("controller      unknown: {why}\n")),
        (None, None) => {}
    }
    text
}

/// The tag, or digest, of the controller's image.
async fn controller(global: &Global) -> Result<String, Failure> {
    let cluster = Cluster::find(global).await?;
    let api: Api<Deployment> = Api::all(cluster.client);
    let found = api.list(&ListParams::default().labels(CONTROLLER)).await;
    let found = found.map_err(|error| crate::client::failure(&error))?.items;
    let none = || {
        Failure::new(Exit::NotInstalled, "NotInstalled", "there is no controller of Byway in this cluster")
    };
    let deployment = found.first().ok_or_else(none)?;
    if let Some(version) = deployment.labels().get("app.kubernetes.io/version") {
        return Ok(version.clone());
    }
    let pod = deployment.spec.as_ref().and_then(|it| it.template.spec.as_ref());
    pod.and_then(|it| it.containers.first()).and_then(|it| it.image.clone()).ok_or_else(none)
}
