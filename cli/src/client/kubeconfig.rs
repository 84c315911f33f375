//! The kubeconfig: which one it is, and what is wrong with it, by the names in it.

use std::error::Error as StdError;
use std::path::Path;

use byway_trust::Unusable;
use kube::client::AuthError;
use kube::config::{
    AuthInfo, AuthProviderConfig, ExecConfig, KubeConfigOptions, Kubeconfig, KubeconfigError,
};
use kube::{Client, Config, Error};

use super::{chain, failure};
use crate::args::Global;
use crate::exit::{Exit, Failure};

#[cfg(test)]
mod tests;

/// What it says, and the context, if it is one's.
pub(super) async fn configuration(global: &Global) -> Result<(Config, Option<String>), Failure> {
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let read = match &global.kubeconfig {
        Some(file) => Kubeconfig::read_from(file).map_err(|error| unreadable(&error)).map(Some)?,
        None if global.context.is_some() || is_there() => Some(read().map_err(|error| unreadable(&error))?),
        None => None,
    };
    let Some(read) = read else {
        return Ok((Config::infer().await.map_err(|error| unreadable(&error))?, None));
    };
    let context = global.context.clone().or_else(|| read.current_context.clone());
    check(&read, context.as_deref().unwrap_or_default())?;
    let config = Config::from_custom_kubeconfig(read, &options).await.map_err(|error| incorrect(&error))?;
    Ok((config, context))
}

/// As kubectl reads it: of the files that `KUBECONFIG` lists, those that are there.
fn read() -> Result<Kubeconfig, KubeconfigError> {
    let list = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let files = std::env::split_paths(&list).filter(|file| file.exists());
    let read = files.map(Kubeconfig::read_from);
    let all = read.reduce(|all, next| all?.merge(next?));
    all.unwrap_or_else(Kubeconfig::read)
}

fn is_there() -> bool {
    std::env::var_os("KUBECONFIG").is_some_and(|it| !it.is_empty())
        || std::env::var_os("HOME").is_some_and(|home| Path::new(&home).join(".kube/config").is_file())
}

/// What kubectl would not take either, or the library takes in another way: it makes nobody of a user that is not there.
fn check(read: &Kubeconfig, name: &str) -> Result<(), Failure> {
    let contexts: Vec<&str> = read.contexts.iter().map(|it| it.name.as_str()).collect();
    let Some(context) = read.contexts.iter().find(|it| it.name == name).and_then(|it| it.context.as_ref())
    else {
        let what = if name.is_empty() {
            "it has no current context".to_owned()
        } else {
            format!("there is no context {name} in it")
        };
        let fix = match contexts.is_empty() {
            true => "it has no contexts at all: set KUBECONFIG, or give --kubeconfig".to_owned(),
            false => format!("give --context with one that it has: {}", contexts.join(", ")),
        };
        return Err(wrong(&what).fix(fix));
    };
    let cluster = &context.cluster;
    let Some(found) = read.clusters.iter().find(|it| it.name == *cluster) else {
        let what = format!("the cluster {cluster:?} of the context {name} is not in it");
        return Err(wrong(&what).fix("write it under `clusters`, or give another --context"));
    };
    let server = found.cluster.as_ref().and_then(|it| it.server.as_deref()).unwrap_or_default();
    check_server(cluster, server)?;
    let user = context.user.as_deref().unwrap_or_default();
    // kubectl asks as nobody, too, where a context has no user.
    if !user.is_empty() && !read.auth_infos.iter().any(|it| it.name == user) {
        let what = format!("the user {user:?} of the context {name} is not in it");
        return Err(wrong(&what).fix("log in to the cluster again, or write the user under `users`"));
    }
    Ok(())
}

fn check_server(cluster: &str, server: &str) -> Result<(), Failure> {
    if server.is_empty() {
        return Err(wrong(&format!("the cluster {cluster:?} has no server in it"))
            .fix("write its address there: `server: https://HOST:PORT`"));
    }
    let is_usable = server.parse().is_ok_and(|server| byway_trust::has_scheme(&server).is_ok());
    if is_usable {
        return Ok(());
    }
    let what =
        format!("the server of the cluster {cluster:?} needs https:// in front of a host: it is {server:?}");
    Err(wrong(&what).fix("write it so: `server: https://HOST:PORT`"))
}

/// Of what [`configuration`] gave. A plugin that logs in is run for it.
pub(super) fn client(config: Config) -> Result<Client, Failure> {
    let login = config.auth_info.clone();
    byway_trust::client(config).map_err(|error| match error {
        Unusable::Server(_) => incorrect(&error),
        Unusable::Other(Error::Auth(error)) => not_logged_in(error, &login),
        Unusable::Other(Error::InferKubeconfig(error)) => incorrect(&error),
        Unusable::Other(error) => incorrect(&error),
    })
}

fn not_logged_in(error: AuthError, login: &AuthInfo) -> Failure {
    match (&error, &login.exec, &login.auth_provider) {
        (AuthError::AuthExecStart(why), Some(exec), _) => without_plugin(exec, why),
        (AuthError::AuthExecRun { out, .. }, Some(exec), _) => {
            let program = exec.command.as_deref().unwrap_or_default();
            // Where it may ask its user something it has said so itself.
            let said = String::from_utf8_lossy(&out.stderr);
            let said = said.trim();
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            let message = format!("cannot log in: {program} ended with {}{said}", out.status);
            Failure::new(Exit::NotAllowed, "NotLoggedIn", message)
                .fix("log in to the cluster again, and try `kubectl get namespaces`")
        }
        (AuthError::AuthExec(_), _, Some(provider)) => unsupported(provider),
        (
            AuthError::ReadTokenFile(..)
            | AuthError::MissingCommand
            | AuthError::InvalidBasicAuth(_)
            | AuthError::InvalidBearerToken(_),
            ..,
        ) => incorrect(&error),
        _ => failure(&Error::Auth(error)),
    }
}

fn without_plugin(exec: &ExecConfig, why: &std::io::Error) -> Failure {
    let program = exec.command.as_deref().unwrap_or_default();
    let hint = exec.install_hint.as_deref().map(str::trim).filter(|it| !it.is_empty());
    if why.kind() == std::io::ErrorKind::NotFound {
        let fix = match hint {
            Some(hint) => format!("install it: {hint}"),
            None => format!("install {program}, or see that PATH leads to it"),
        };
        return wrong(&format!("it logs in by the program {program}, which is not installed")).fix(fix);
    }
    wrong(&format!("it logs in by the program {program}, which cannot be run: {why}"))
        .fix("see that it is a program for this machine, and that you may run it")
}

fn unsupported(provider: &AuthProviderConfig) -> Failure {
    let name = &provider.name;
    let (since, plugin) = match name.as_str() {
        "gcp" => (
            " (nor is it by kubectl, since 1.26)",
            "gke-gcloud-auth-plugin: install it, and `gcloud container clusters get-credentials` writes it",
        ),
        "azure" => (
            " (nor is it by kubectl, since 1.26)",
            "kubelogin: install it, and `kubelogin convert-kubeconfig` writes it",
        ),
        "oidc" => (" without an id-token", "kubelogin: `kubectl oidc-login setup` writes it"),
        _ => ("", "the one that your cluster's provider has"),
    };
    wrong(&format!("the auth-provider {name} is not supported{since}"))
        .fix(format!("log in by an exec plugin in its place, {plugin}"))
}

/// It cannot be had.
fn unreadable(error: &dyn StdError) -> Failure {
    wrong(&chain(error))
        .fix("set KUBECONFIG, or give --kubeconfig and --context; `kubectl config get-contexts` lists them")
}

/// Something in it is of no use.
fn incorrect(error: &dyn StdError) -> Failure {
    wrong(&chain(error))
        .fix("correct in the kubeconfig what this names, or log in to the cluster again for a new one")
}

fn wrong(what: &str) -> Failure {
    Failure::new(Exit::Unreachable, "NoKubeconfig", format!("cannot use the kubeconfig: {what}"))
}
