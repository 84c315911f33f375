//! The pods of a preview, and what their containers wrote.

use std::time::Duration;

use byway_api::{Preview, names};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, ResourceExt as _};

use crate::client::failure;
use crate::exit::Failure;

/// Most lines of a container that failed.
const LINES: i64 = 20;
/// So often it is tried to read them: between two runs there may be nothing for a moment.
const TRIES: u32 = 3;
/// Between tries.
const PAUSE: Duration = Duration::from_millis(700);

/// The last words of a container.
#[derive(Debug)]
pub struct LastWords {
    /// `POD/CONTAINER`, and which run.
    pub of: String,
    /// What it wrote.
    pub text: String,
}

/// The pods of a preview, the newest first.
///
/// # Errors
///
/// When they cannot be listed.
pub async fn list(client: &Client, preview: &Preview) -> Result<Vec<Pod>, Failure> {
    let api = api(client, preview);
    let own = ListParams::default().labels(&format!("{}={}", names::PREVIEW_LABEL, preview.name_any()));
    let mut pods = api.list(&own).await.map_err(|error| failure(&error))?.items;
    pods.sort_by_key(|it| std::cmp::Reverse(it.metadata.creation_timestamp.as_ref().map(|it| it.0)));
    Ok(pods)
}

/// The API of its pods.
#[must_use]
pub fn api(client: &Client, preview: &Preview) -> Api<Pod> {
    Api::namespaced(client.clone(), &preview.namespace().unwrap_or_default())
}

/// What containers that are not ready wrote last. Empty where nothing can be read: it is only to help.
pub async fn last_words(client: &Client, preview: &Preview) -> Vec<LastWords> {
    let api = api(client, preview);
    let mut words = Vec::new();
    let Ok(pods) = list(client, preview).await else { return words };
    // One pod is enough: the others are alike.
    for pod in pods.iter().filter(|it| it.metadata.deletion_timestamp.is_none()) {
        for container in statuses(pod).filter(|it| is_troubled(it)) {
            if let Some(text) = last_of(&api, &pod.name_any(), container).await {
                words.push(LastWords { of: format!("{}/{}", pod.name_any(), container.name), text });
            }
        }
        if !words.is_empty() {
            break;
        }
    }
    words
}

/// What a container wrote last: in the run that is or has just ended, or in the one before.
async fn last_of(api: &Api<Pod>, pod: &str, status: &ContainerStatus) -> Option<String> {
    let is_running = status.state.as_ref().is_some_and(|it| it.running.is_some());
    // One that has just been started again has said nothing yet of why it will end.
    let begins_with_previous = is_running && status.restart_count > 0;
    for attempt in 0..TRIES {
        for previous in [begins_with_previous, !begins_with_previous] {
            let params = LogParams {
                container: Some(status.name.clone()),
                tail_lines: Some(LINES),
                previous,
                ..LogParams::default()
            };
            let text = api.logs(pod, &params).await.unwrap_or_default();
            let text = text.trim_end();
            // A kubelet that is just replacing the container says so with a good conscience.
            if !text.is_empty() && !text.starts_with("unable to retrieve container logs") {
                return Some(text.to_owned());
            }
        }
        if attempt + 1 < TRIES && status.restart_count > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    None
}

/// Of all containers, those that run first before the others.
pub fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|it| it.init_container_statuses.as_ref()).into_iter().flatten();
    init.chain(status.and_then(|it| it.container_statuses.as_ref()).into_iter().flatten())
}

/// It is not ready, and has not just ended well as init containers do.
fn is_troubled(status: &ContainerStatus) -> bool {
    let ended_well =
        status.state.as_ref().and_then(|it| it.terminated.as_ref()).is_some_and(|it| it.exit_code == 0);
    !status.ready && !ended_well
}
