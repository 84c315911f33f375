//! `status`: previews by key, with their pods. Previews of one key are one environment.

use std::fmt::Write as _;
use std::pin::pin;
use std::time::Duration;

use byway_api::Preview;
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, watcher};

use super::Done;
use crate::args::{Format, Global, StatusArgs};
use crate::client::Cluster;
use crate::exit::{Exit, Failure};
use crate::select::{self, Selection};
use crate::warnings::warnings;
use crate::{output, words};

/// Changes that come together are shown together.
const TOGETHER: Duration = Duration::from_millis(200);
/// Time goes by also when nothing changes.
const AGAIN: Duration = Duration::from_secs(60);

pub(super) async fn run(global: &Global, args: &StatusArgs) -> Done {
    let selection = Selection::new(&args.which)?;
    let cluster = Cluster::find(global).await?;
    if args.watch {
        return tokio::select! {
            done = watch(&cluster, args, &selection) => done,
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted.code()),
        };
    }
    let (text, lack) = look(&cluster, args, &selection).await?;
    super::print_found(&cluster, args.which.all_namespaces, &text, lack)
}

/// What is not there may come.
async fn watch(cluster: &Cluster, args: &StatusArgs, selection: &Selection) -> Done {
    let all = args.which.all_namespaces;
    let api = if all { cluster.all_previews() } else { cluster.previews(&cluster.namespace) };
    let mut changes = pin!(watcher(api, Config::default()).default_backoff());
    let mut shown: Option<String> = None;
    loop {
        match look(cluster, args, selection).await {
            Ok((text, _)) if shown.as_ref() != Some(&text) => {
                let is_first = shown.as_ref().is_none_or(String::is_empty);
                let before = if is_first { "" } else { between(args.output) };
                output::print(&format!("{before}{text}"))?;
                if text.is_empty() {
                    super::say_none(cluster, all);
                }
                shown = Some(text);
            }
            Ok(_) => {}
            Err(failure) if failure.exit == Exit::Unreachable && shown.is_some() => {}
            Err(failure) => return Err(failure),
        }
        tokio::select! {
            _ = changes.next() => tokio::time::sleep(TOGETHER).await,
            () = tokio::time::sleep(AGAIN) => {}
        }
        // What has come meanwhile is in the next list.
        while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, changes.next()).await {}
    }
}

/// What is, as it is printed, and what to say of what is not.
async fn look(
    cluster: &Cluster,
    args: &StatusArgs,
    selection: &Selection,
) -> Result<(String, Option<Failure>), Failure> {
    let (found, lack) = select::shown(cluster, &args.which, selection, args.failed).await?;
    let text = super::shown(args.output, &found, |is_wide| render(&found, Timestamp::now(), is_wide))?;
    Ok((text, lack))
}

/// What keeps what was printed apart from what is printed next.
const fn between(format: Option<Format>) -> &'static str {
    match format {
        None | Some(Format::Wide) => "\n",
        Some(Format::Yaml) => "---\n",
        Some(Format::Json | Format::Name) => "",
    }
}

/// `found` is in the order of keys.
fn render(found: &[Preview], now: Timestamp, is_wide: bool) -> String {
    let mut text = String::new();
    for environment in found.chunk_by(|a, b| words::key_of(a) == words::key_of(b)) {
        let Some(key) = environment.first().and_then(words::key_of) else { continue };
        let blank = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{blank}KEY {key}");
        let rows: Vec<Vec<String>> = environment.iter().flat_map(|it| rows(it, now, is_wide)).collect();
        let mut head = vec!["  NAME", "TARGET", "NAMESPACE", "STATUS"];
        head.extend(is_wide.then_some("IMAGE"));
        head.push("MESSAGE");
        text.push_str(&output::table(&head, &rows));
    }
    text
}

/// A row of the Preview, one of each pod, and one of each warning: whether it is ready or not.
fn rows(preview: &Preview, now: Timestamp, is_wide: bool) -> Vec<Vec<String>> {
    let row =
        |name: String, target: String, namespace: String, state: String, image: String, message: String| {
            let mut row = vec![name, target, namespace, state];
            row.extend(is_wide.then_some(image));
            row.push(message);
            row
        };
    let mut rows = vec![row(
        format!("  {}", preview.name_any()),
        words::target_of(preview),
        preview.namespace().unwrap_or_default(),
        words::state(preview, now),
        preview.spec.image.clone(),
        words::message(preview),
    )];
    let status = preview.status.as_ref();
    for pod in status.map(|it| it.pods.as_slice()).unwrap_or_default() {
        let state = match (pod.ready, pod.routed) {
            (true, true) => "ready, routed",
            (true, false) => "ready, not routed",
            (false, _) => "not ready",
        };
        let node = pod.node.as_deref().map(|it| format!("on {it}")).unwrap_or_default();
        let name = format!("    pod {}", pod.name);
        rows.push(row(name, String::new(), String::new(), state.to_owned(), String::new(), node));
    }
    rows.extend(warnings(preview).into_iter().map(|it| {
        let short = it.short();
        row("    warning".to_owned(), String::new(), String::new(), it.reason, String::new(), short)
    }));
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn preview(name: &str, key: &str, target: &str, status: serde_json::Value) -> Preview {
        serde_json::from_value(json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": name, "namespace": "demo" },
            "spec": { "image": "app:2", "key": key, "target": { "kind": "Deployment", "name": target } },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn an_environment_is_a_block() {
        let ready = json!({
            "phase": "Ready", "expiresAt": "2030-01-01T00:42:30Z",
            "pods": [{ "name": "byway-a-1", "node": "n1", "ready": true, "routed": true }],
        });
        let condition = |type_: &str, status: &str, reason: &str, message: &str| json!({ "type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2030-01-01T00:00:00Z" });
        let failed = json!({ "phase": "Failed", "conditions": [
            condition("Ready", "False", "CrashLoop", "it ends"),
            condition("Warnings", "True", "Several", "ResourceClaimShared: a device is shared; DaprAppId: it is another; give it one"),
        ]});
        let found = [
            preview("a", "pr-1", "front", ready),
            preview("bb", "pr-1", "back", json!({})),
            preview("c", "pr-2", "front", failed),
        ];
        let wanted = "\
KEY pr-1
  NAME              TARGET             NAMESPACE   STATUS                    MESSAGE
  a                 deployment/front   demo        running (42m remaining)
    pod byway-a-1                                  ready, routed             on n1
  bb                deployment/back    demo        initializing

KEY pr-2
  NAME        TARGET             NAMESPACE   STATUS                MESSAGE
  c           deployment/front   demo        failed                it ends
    warning                                  ResourceClaimShared   a device is shared
    warning                                  DaprAppId             it is another …
";
        assert_eq!(render(&found, "2030-01-01T00:00:00Z".parse().unwrap(), false), wanted);
        assert!(render(&found, Timestamp::UNIX_EPOCH, true).contains("IMAGE"));
    }
}
