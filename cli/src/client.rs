//! The way to the API server, and what its refusals mean.

use std::time::Duration;

use byway_api::Preview;
use byway_trust::Refusal;
use kube::core::Status;
use kube::{Api, Client, Error};

use crate::args::Global;
use crate::exit::{Exit, Failure};

mod kubeconfig;

/// Who writes, in `managedFields`.
pub const FIELD_MANAGER: &str = "kubectl-preview";

/// A server that takes longer to accept a connection is taken for unreachable.
const CONNECT: Duration = Duration::from_secs(10);

/// A cluster.
#[derive(Clone)]
pub struct Cluster {
    /// To ask it.
    pub client: Client,
    /// The namespace of the command line, else of the context.
    pub namespace: String,
    /// Whether the command line names it.
    pub is_namespace_given: bool,
    /// What people call it: the context, or the address.
    pub name: String,
}

impl Cluster {
    /// As kubectl finds it. Nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// When there is no kubeconfig, or it cannot be used.
    pub async fn find(global: &Global) -> Result<Self, Failure> {
        let (mut config, name) = kubeconfig::configuration(global).await?;
        config.connect_timeout = Some(CONNECT);
        let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let name = name.unwrap_or_else(|| config.cluster_url.to_string());
        let client = kubeconfig::client(config)?;
        Ok(Self { client, namespace, is_namespace_given: global.namespace.is_some(), name })
    }

    /// Where was looked, in words.
    #[must_use]
    pub fn place(&self, all: bool) -> String {
        if all { "any namespace".to_owned() } else { format!("namespace {}", self.namespace) }
    }

    /// The Previews of a namespace.
    #[must_use]
    pub fn previews(&self, namespace: &str) -> Api<Preview> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Previews of all namespaces.
    #[must_use]
    pub fn all_previews(&self) -> Api<Preview> {
        Api::all(self.client.clone())
    }
}

/// What an error of the client means for who called.
#[must_use]
pub fn failure(error: &Error) -> Failure {
    match error {
        Error::Api(status) => refused(status),
        Error::Auth(_) => {
            Failure::new(Exit::NotAllowed, "NotLoggedIn", format!("cannot log in: {}", chain(error)))
                .fix("log in to the cluster again, and try `kubectl get namespaces`")
        }
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => {
            if let Some(Refusal { what, fix }) = byway_trust::refusal(error) {
                let message = format!("the API server's certificate is not trusted: {what}");
                return Failure::new(Exit::Unreachable, "Untrusted", message).fix(fix);
            }
            let said = chain(error);
            if said.contains("InvalidContentType") {
                let message =
                    "the server of the kubeconfig does not speak HTTPS, which its https:// asks for";
                return Failure::new(Exit::Unreachable, "Unreachable", message)
                    .fix("write the API server's own address there; if this is it, write http://");
            }
            let message = format!("the API server cannot be reached: {said}");
            Failure::new(Exit::Unreachable, "Unreachable", message)
                .fix("is the cluster up, and is a VPN or proxy needed? `kubectl cluster-info` tells more")
        }
        other => Failure::new(Exit::Failed, "Failed", chain(other)),
    }
}

/// How servers, and proxies before them, say that they were spoken to without TLS.
const IS_HTTPS: [&str; 2] = ["HTTP request to an HTTPS server", "HTTP request was sent to HTTPS port"];

/// What the API server said.
fn refused(status: &Status) -> Failure {
    let said = plain(status);
    match status.code {
        401 => {
            Failure::new(Exit::NotAllowed, "NotLoggedIn", format!("the API server does not know you: {said}"))
                .fix("log in to the cluster again, and try `kubectl get namespaces`")
        }
        403 => {
            let fix = not_allowed(&status.message);
            Failure::new(Exit::NotAllowed, "NotAllowed", said).fix(fix)
        }
        // A resource that is not served is answered by a page, not by a status that names something.
        404 if status.details.as_ref().is_none_or(|it| it.name.is_empty()) => not_installed(),
        404 if status.details.as_ref().is_some_and(|it| it.kind == "namespaces") => {
            Failure::new(Exit::NotFound, "NamespaceNotFound", said)
                .fix("name another one with -n, or create it")
        }
        404 => Failure::new(Exit::NotFound, "NotFound", said),
        // What does not fit the schema is an internal error to a server-side apply.
        500 if said_of_schema(&status.message).is_some() => Failure::new(Exit::Invalid, "Invalid", said),
        400 if IS_HTTPS.iter().any(|it| status.message.contains(it)) => {
            let message = "the API server speaks HTTPS only, and the kubeconfig's server begins with http://";
            Failure::new(Exit::Unreachable, "Unreachable", message)
                .fix("write https:// in the `server` of that cluster in the kubeconfig")
        }
        400 | 422 => Failure::new(Exit::Invalid, "Invalid", said),
        429 | 500..=599 => {
            Failure::new(Exit::Unreachable, "Unreachable", format!("the API server cannot answer: {said}"))
                .fix("try again in a moment")
        }
        _ => Failure::new(Exit::Failed, "Failed", said),
    }
}

/// What to do about it: rights, a limit and a quota are all refused as forbidden.
fn not_allowed(message: &str) -> &'static str {
    if message.contains("at the cluster scope") {
        "leave out -A and name a namespace with -n, or ask for the right to see all of them"
    } else if message.contains("exceeded quota") {
        "end other previews of the namespace, or have its quota raised"
    } else if message.contains("cannot ") {
        "ask for the role `edit` in the namespace: it includes previews (docs/security.md says who may do what)"
    } else {
        "change what the message names: it is a rule of this cluster (docs/security.md says which ones Byway has)"
    }
}

/// Where the CRD is missing.
#[must_use]
pub fn not_installed() -> Failure {
    Failure::new(Exit::NotInstalled, "NotInstalled", "Byway is not installed in this cluster")
        .fix("an administrator installs it: helm install byway charts/byway -n byway --create-namespace")
}

/// The API server's words without what people need not read: which object it was, and which policy.
fn plain(status: &Status) -> String {
    let causes = status.details.as_ref().map(|it| it.causes.as_slice()).unwrap_or_default();
    if status.code == 422 && !causes.is_empty() {
        let lines: Vec<String> =
            causes.iter().map(|cause| cause_line(&cause.field, &cause.message)).collect();
        return lines.join("\n");
    }
    if let Some(said) = said_of_schema(&status.message) {
        return said;
    }
    let mut said = status.message.as_str();
    // `previews.byway.dev "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ...`
    if let Some((_, words)) = said.split_once("denied request: ") {
        said = words;
    }
    let said = said.trim();
    if said.is_empty() { format!("it answered {}", status.code) } else { said.to_owned() }
}

/// `failed to create typed patch object (demo/a; byway.dev/v1alpha1, Kind=Preview): .spec.imag: field not declared in schema`
fn said_of_schema(message: &str) -> Option<String> {
    let rest = message.strip_prefix("failed to create typed patch object (")?;
    let (_, said) = rest.split_once("): ")?;
    let lines = said.trim_start_matches("errors:").lines().map(|it| it.trim().trim_start_matches('.'));
    let lines = lines.filter(|it| !it.is_empty());
    let plain = |it: &str| it.replace("field not declared in schema", "there is no such field");
    Some(lines.map(plain).collect::<Vec<_>>().join("\n"))
}

/// `Invalid value: "object": the ttl must ...` is what CEL rules become; `spec` stands for the spec as a whole.
fn cause_line(field: &str, message: &str) -> String {
    let message = message.strip_prefix("Invalid value: ").map_or(message, |rest| {
        // The value, quoted, then the sentence.
        rest.find("\": ").map_or(rest, |at| &rest[at + 3..])
    });
    if field.is_empty() || field == "<nil>" || message.starts_with(field) {
        return message.to_owned();
    }
    format!("{field}: {message}")
}

/// An error and what caused it, each thing said once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

/// Of a watch.
#[must_use]
pub fn watch_failure(error: &kube::runtime::watcher::Error) -> Failure {
    use kube::runtime::watcher::Error as W;
    match error {
        W::InitialListFailed(error) | W::WatchStartFailed(error) | W::WatchFailed(error) => failure(error),
        W::WatchError(status) => refused(status),
        W::NoResourceVersion => Failure::new(Exit::Failed, "Failed", error.to_string()),
    }
}

#[cfg(test)]
mod tests;
