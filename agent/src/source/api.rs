//! The node's own NodeRoutes object, watched by its name, and acknowledged. It needs `get`, `list` and `watch` on noderoutes.
//!
//! An object that is deleted means that there is nothing to steer. A server that cannot be reached means nothing: the
//! last table stays in force until it can.

use std::sync::Arc;

use anyhow::Result;
use byway_api::{Instance, NodeRoutesStatus};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::{
    Api,
    api::DynamicObject,
    runtime::{
        utils::Backoff as _,
        watcher::{self, watcher},
    },
};
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};

use super::{BadDocument, Change, Document, object::Follower, state::State};
use crate::{
    ack::Ack,
    admin::Metrics,
    args::ServeArgs,
    contact::{Contact, connect, pauses},
    node_routes::Object,
};

/// Seconds until the server ends a watch, so that a connection that has died silently is noticed.
const WATCH: u32 = 60;
/// After so many errors in a row everything is listed anew: a server that was set back to a backup never comes to
/// the version that is asked for.
const RELIST: u32 = 3;
/// Changes that wait to be applied. They are coalesced.
const WAITING: usize = 16;

/// The object, as the API tells of it.
pub(crate) struct ApiSource {
    updates: mpsc::Receiver<Update>,
    /// Taken already, and not handed on yet.
    next: Option<Update>,
    /// What the last document was of; none when it is deleted or was never seen.
    object: Option<Object>,
    state: Option<State>,
    ack: Ack,
    contact: Arc<Contact>,
}

struct Update {
    object: Option<Object>,
    change: Result<Change, BadDocument>,
}

impl ApiSource {
    /// Starts to watch the object of `node`, on the calling runtime.
    pub(super) async fn open(args: &ServeArgs, node: &str) -> Result<Self> {
        let started_at = Timestamp::from_millisecond(Timestamp::now().as_millisecond())?;
        let contact = Arc::<Contact>::default();
        let api = connect(&contact).await?;
        let instance = args.pod_uid.clone().map(|pod_uid| Instance { pod_uid, started_at });
        let ack = Ack::start(api.clone(), node, instance, contact.clone());
        let (sender, updates) = mpsc::channel(WAITING);
        tokio::spawn(follow(api, node.to_owned(), sender, contact.clone()));
        let state = args.state_dir.as_deref().map(|dir| State::new(dir, node)).transpose()?;
        Ok(Self { updates, next: None, object: None, state, ack, contact })
    }

    pub(super) fn metrics(&self) -> Metrics {
        let contact = self.contact.clone();
        Box::new(move |registry| contact.register(registry))
    }

    /// See [`super::Source::changed`].
    pub(super) async fn changed(&mut self) -> Result<Change, BadDocument> {
        let first = match self.next.take() {
            Some(update) => update,
            None => match self.updates.recv().await {
                Some(update) => update,
                None => std::future::pending().await, // it never ends
            },
        };
        let Update { mut object, mut change } = first;
        // Where many changes have come meanwhile, only the last one counts.
        while change.is_ok()
            && let Ok(newer) = self.updates.try_recv()
        {
            match newer.change {
                Err(_) => {
                    self.next = Some(newer);
                    break;
                }
                Ok(Change::Seen) => object = newer.object,
                document => (object, change) = (newer.object, document),
            }
        }
        self.object = object;
        change
    }

    /// See [`super::Source::say`].
    pub(super) fn say(&self, status: NodeRoutesStatus) -> NodeRoutesStatus {
        self.ack.say(self.object.as_ref(), status)
    }

    pub(super) fn remembered(&self) -> Option<Document> {
        self.state.as_ref()?.read()
    }

    pub(super) fn remember(&self, raw: Option<Value>) {
        if let Some(state) = &self.state {
            state.write(raw);
        }
    }
}

/// Watches for as long as somebody listens.
async fn follow(api: Api<DynamicObject>, name: String, updates: mpsc::Sender<Update>, contact: Arc<Contact>) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH);
    let mut follower = Follower::new(&name);
    let mut pauses = pauses();
    let mut errors = 0;
    let mut events = watcher(api.clone(), config.clone()).boxed();
    loop {
        match events.next().await {
            Some(Ok(event)) => {
                if !matches!(event, watcher::Event::Init) {
                    errors = 0; // an answer; the first event of a list comes before it is asked for
                    pauses.reset();
                }
                let Some(change) = follower.take(event) else { continue };
                let update = Update { object: follower.object().cloned(), change };
                if updates.send(update).await.is_err() {
                    return;
                }
                continue;
            }
            Some(Err(error)) => {
                errors += 1;
                contact.count_watch_restart();
                if errors == 1 {
                    tracing::warn!(%error, "cannot watch the node's routes: the last ones stay in force");
                } else {
                    tracing::debug!(%error, errors, "still cannot watch the node's routes");
                }
            }
            None => {}
        }
        sleep(pauses.next().unwrap_or_default()).await;
        if errors % RELIST == 0 {
            events = watcher(api.clone(), config.clone()).boxed();
        }
    }
}
