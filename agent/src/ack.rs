//! The acknowledgement: the status of the node's own NodeRoutes, and nothing else of the Kubernetes API. It needs
//! `update` on noderoutes/status.
//!
//! It is written at once, and only by the agent that the spec names: while an upgrade runs, the successor steers
//! before it is the one to speak. What comes while a write is under way is coalesced, and what the server has
//! already is not written again.

use std::{sync::Arc, time::Duration};

use byway_api::{Instance, NodeRoutesStatus};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
    runtime::utils::Backoff as _,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    contact::{Contact, pauses},
    node_routes::{Object, version_of},
};

#[cfg(test)]
mod tests;

/// Who writes, for the server's record of fields.
const MANAGER: &str = "byway-agent";
/// A server that takes longer is asked again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says who this agent is, and what it steers.
pub(crate) struct Ack {
    /// None without a pod: then there is nobody to be named.
    instance: Option<Instance>,
    wanted: watch::Sender<Option<Wanted>>,
}

/// What the server should have.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    object: Object,
    status: NodeRoutesStatus,
}

/// What the server has, as far as is known from our own writes.
#[derive(Default)]
struct Written {
    uid: String,
    /// [`Object::list`] of then.
    list: u64,
    version: u64,
    status: NodeRoutesStatus,
}

impl Ack {
    /// Starts the writer on the calling runtime.
    pub(crate) fn start(
        api: Api<DynamicObject>,
        node: &str,
        instance: Option<Instance>,
        contact: Arc<Contact>,
    ) -> Self {
        let (wanted, orders) = watch::channel(None);
        tokio::spawn(write(api, node.to_owned(), orders, contact));
        Self { instance, wanted }
    }

    /// Has `status` written, if this agent is the one to speak for `object`. What it will be is returned.
    pub(crate) fn say(&self, object: Option<&Object>, status: NodeRoutesStatus) -> NodeRoutesStatus {
        let generation = object.and_then(|o| o.generation);
        let status =
            NodeRoutesStatus { instance: self.instance.clone(), observed_generation: generation, ..status };
        let own = self.instance.as_ref().map(|i| i.pod_uid.as_str());
        let named = object.filter(|o| own.is_some() && o.agent_pod_uid.as_deref() == own);
        let wanted = named.map(|object| Wanted { object: object.clone(), status: status.clone() });
        self.wanted.send_if_modified(|before| {
            let news = *before != wanted;
            *before = wanted;
            news
        });
        status
    }
}

impl Wanted {
    /// Whether the server lacks it: it has what it told last, or what we wrote last, whichever is newer.
    fn is_news(&self, written: &Written) -> bool {
        let known = if self.is_before(written) { Some(&written.status) } else { self.object.status.as_ref() };
        known != Some(&self.status)
    }

    /// The version to replace: the newest that is known.
    fn version(&self, written: &Written) -> u64 {
        if self.is_before(written) { written.version } else { self.object.version }
    }

    /// Whether what the server told last is from before our write, or its echo. A list that was read since is right,
    /// however old its version: the server may have been set back to a backup. Where it was merely asked for before our
    /// write, the next one is a conflict, and the watch tells what we wrote.
    fn is_before(&self, written: &Written) -> bool {
        let Object { uid, list, version, .. } = &self.object;
        *uid == written.uid && *list == written.list && *version <= written.version
    }
}

/// Writes whenever what is wanted is not what the server has, until the other end is dropped.
async fn write(
    api: Api<DynamicObject>,
    node: String,
    mut orders: watch::Receiver<Option<Wanted>>,
    contact: Arc<Contact>,
) {
    let how = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let mut written = Written::default();
    let mut pauses = pauses();
    let (mut failed, mut conflicted) = (false, false);
    loop {
        let wanted = orders.borrow_and_update().clone();
        let Some(wanted) = wanted.filter(|w| w.is_news(&written)) else {
            conflicted = false;
            if orders.changed().await.is_err() {
                return;
            }
            continue;
        };
        let object = wanted.status.replacing(&node, &wanted.object.uid, wanted.version(&written));
        let answer = api.replace_subresource("status", &node, &how, &object);
        let (error, pause) = match timeout(PATIENCE, answer).await {
            Ok(Ok(object)) => {
                written = Written {
                    uid: wanted.object.uid,
                    list: wanted.object.list,
                    version: version_of(&object.metadata),
                    status: wanted.status,
                };
                contact.count_ack();
                pauses.reset();
                (failed, conflicted) = (false, false);
                continue;
            }
            // The object has changed meanwhile, or is another one: the next event tells. That is normal once.
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() => {
                (std::mem::replace(&mut conflicted, true).then(|| status.to_string()), PATIENCE)
            }
            Ok(Err(error)) => (Some(error.to_string()), pauses.next().unwrap_or_default()),
            Err(_) => (Some(format!("no answer within {PATIENCE:?}")), pauses.next().unwrap_or_default()),
        };
        if let Some(error) = error {
            contact.count_ack_error();
            // While another agent is just being named, a refusal is as it should be: the next event tells.
            if std::mem::replace(&mut failed, true) {
                tracing::debug!(error, "cannot acknowledge");
            } else {
                tracing::warn!(error, "cannot acknowledge: trying again");
            }
        }
        tokio::select! {
            () = sleep(pause) => {}
            changed = orders.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
