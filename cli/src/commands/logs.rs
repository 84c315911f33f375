//! `logs`: what the containers of previews write.

use std::collections::HashSet;
use std::time::Duration;

use byway_api::Preview;
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, ResourceExt as _};
use tokio::sync::mpsc::{Sender, channel};

use super::Done;
use crate::args::{Global, LogsArgs, Which};
use crate::client::{Cluster, failure};
use crate::exit::{Exit, Failure};
use crate::select::{self, Selection};
use crate::{output, pods};

/// Between looks for new pods while following: an update replaces them.
const PAUSE: Duration = Duration::from_secs(1);

/// A container of a pod, and its run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    namespace: String,
    pod: String,
    container: String,
    run: i32,
}

pub(super) async fn run(global: &Global, args: &LogsArgs) -> Done {
    let selection = Selection::new(&Which::one(args.name.as_ref(), args.key.as_ref()))?;
    let cluster = Cluster::find(global).await?;
    let found = select::some(&cluster, false, &selection).await?;
    if args.follow {
        tokio::select! {
            done = follow(&cluster, &selection, args) => done.map(|()| Exit::Ok.code()),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted.code()),
        }
    } else {
        once(&cluster, &found, args).await.map(|()| Exit::Ok.code())
    }
}

async fn once(cluster: &Cluster, found: &[Preview], args: &LogsArgs) -> Result<(), Failure> {
    let sources = sources(cluster, found, args).await?;
    if sources.is_empty() {
        return Err(nothing(found, args));
    }
    let (mut failed, mut read) = (None, 0);
    for source in &sources {
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &source.namespace);
        match api.logs(&source.pod, &params(source, args)).await {
            Ok(text) => {
                read += 1;
                let prefix = prefix(source, sources.len());
                output::print(&text.lines().map(|line| format!("{prefix}{line}\n")).collect::<String>())?;
            }
            // A container that has not begun has no log; that of another one may say why.
            Err(error) => failed = Some(failure(&error)),
        }
    }
    match failed {
        Some(failure) if read == 0 => Err(failure),
        _ => Ok(()),
    }
}

async fn follow(cluster: &Cluster, selection: &Selection, args: &LogsArgs) -> Result<(), Failure> {
    let (lines, mut read) = channel::<String>(256);
    let look = async {
        let mut begun: HashSet<Source> = HashSet::new();
        loop {
            let found = select::list(cluster, false, selection).await?;
            if found.is_empty() {
                return Ok(());
            }
            let sources = sources(cluster, &found, args).await?;
            let count = sources.len();
            for source in sources {
                if begun.insert(source.clone()) {
                    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &source.namespace);
                    let (params, prefix) = (params(&source, args), prefix(&source, count));
                    tokio::spawn(stream(api, source.pod, params, prefix, lines.clone()));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let print = async {
        while let Some(line) = read.recv().await {
            output::print(&line)?;
        }
        Ok(())
    };
    tokio::select! {
        done = look => done,
        done = print => done,
    }
}

/// Until the container ends, or nobody reads any more.
async fn stream(api: Api<Pod>, pod: String, params: LogParams, prefix: String, to: Sender<String>) {
    let Ok(log) = api.log_stream(&pod, &params).await else { return };
    let mut lines = log.lines();
    while let Ok(Some(line)) = lines.try_next().await {
        if to.send(format!("{prefix}{line}\n")).await.is_err() {
            return;
        }
    }
}

/// The containers that have begun.
async fn sources(cluster: &Cluster, found: &[Preview], args: &LogsArgs) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for preview in found {
        for pod in pods::list(&cluster.client, preview).await? {
            for status in pods::statuses(&pod) {
                let is_meant = args.container.as_ref().is_none_or(|it| *it == status.name);
                let has_begun = status.container_id.as_ref().is_some_and(|it| !it.is_empty())
                    || status
                        .state
                        .as_ref()
                        .is_some_and(|it| it.running.is_some() || it.terminated.is_some())
                    || status.restart_count > 0;
                let has_previous = status.restart_count > 0;
                if is_meant && has_begun && (has_previous || !args.previous) {
                    sources.push(Source {
                        namespace: preview.namespace().unwrap_or_default(),
                        pod: pod.name_any(),
                        container: status.name.clone(),
                        run: status.restart_count,
                    });
                }
            }
        }
    }
    Ok(sources)
}

fn params(source: &Source, args: &LogsArgs) -> LogParams {
    LogParams {
        container: Some(source.container.clone()),
        follow: args.follow,
        previous: args.previous,
        tail_lines: args.tail,
        ..LogParams::default()
    }
}

/// Says who writes, where several do.
fn prefix(source: &Source, count: usize) -> String {
    if count > 1 { format!("[{}/{}] ", source.pod, source.container) } else { String::new() }
}

fn nothing(found: &[Preview], args: &LogsArgs) -> Failure {
    let names: Vec<String> = found.iter().map(crate::words::full_name).collect();
    let of = args.container.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
    let which = if args.previous { "has an earlier run" } else { "has begun" };
    Failure::new(Exit::NotFound, "NoLogs", format!("no container{of} of {} {which}", names.join(", "))).fix(
        format!(
            "see why: kubectl preview status {}",
            found.first().map(crate::words::place).unwrap_or_default()
        ),
    )
}
