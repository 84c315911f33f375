//! What the agents of all nodes would do with routes: say that they are live, or why not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use byway_api::{NodeRoutes, NodeRoutesStatus, NodeTable, names};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Semaphore, mpsc};

use crate::shared::{Happened, Shared};
use crate::word;

/// Writes under way at a time.
const WRITES: usize = 64;
/// After a write that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a node is looked at.
pub(crate) enum Note {
    /// A watch has seen something.
    Seen(Box<Event<NodeRoutes>>),
    /// Time has passed.
    Again(String),
    /// A write has ended, with what was written and the version that it made.
    Written(String, Option<(NodeRoutesStatus, u64)>),
}

/// The agents of some nodes.
pub(crate) struct Agents {
    client: Client,
    shared: Arc<Shared>,
    notes: UnboundedSender<Note>,
    /// The only node; else all.
    node: Option<String>,
    nodes: HashMap<String, Known>,
    most: Arc<Semaphore>,
}

struct Known {
    uid: String,
    /// The newest that is known, also of writes.
    version: u64,
    generation: i64,
    agent_pod_uid: Option<String>,
    table: Arc<NodeTable>,
    /// What the API server has.
    said: NodeRoutesStatus,
    /// What is being written.
    saying: bool,
    /// Since when the spec is there.
    since: std::time::Instant,
    routed: HashSet<String>,
}

impl Agents {
    pub(crate) fn new(
        client: Client,
        shared: Arc<Shared>,
        notes: UnboundedSender<Note>,
        node: Option<String>,
    ) -> Self {
        let most = Arc::new(Semaphore::new(WRITES));
        Self { client, shared, notes, node, nodes: HashMap::new(), most }
    }

    /// Until the simulation ends.
    pub(crate) async fn run(mut self, mut seen: UnboundedReceiver<Note>) {
        let api: Api<NodeRoutes> = Api::all(self.client.clone());
        let mut config = watcher::Config::default().timeout(50).page_size(100);
        if let Some(node) = &self.node {
            config = config.fields(&format!("metadata.name={node}"));
        }
        let notes = self.notes.clone();
        let watch = async move {
            let mut events = std::pin::pin!(watcher(api, config).default_backoff());
            while let Some(event) = events.next().await {
                if let Ok(event) = event
                    && notes.send(Note::Seen(Box::new(event))).is_err()
                {
                    return;
                }
            }
        };
        let mut news = self.shared.news();
        let work = async {
            loop {
                tokio::select! {
                    note = seen.recv() => match note {
                        Some(note) => self.take(note),
                        None => return,
                    },
                    changed = news.changed() => match changed {
                        Ok(()) => self.look_at_all(),
                        Err(_) => return,
                    },
                }
            }
        };
        tokio::join!(watch, work);
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Seen(event) => match *event {
                Event::Init | Event::InitDone => {}
                Event::InitApply(object) | Event::Apply(object) => self.seen(object),
                Event::Delete(object) => {
                    self.nodes.remove(&object.metadata.name.unwrap_or_default());
                }
            },
            Note::Again(node) => self.look(&node),
            Note::Written(node, done) => self.written(&node, done),
        }
    }

    /// Agents behave differently, or others run.
    fn look_at_all(&mut self) {
        let all: Vec<_> = self.nodes.keys().cloned().collect();
        all.iter().for_each(|node| self.look(node));
    }

    fn seen(&mut self, object: NodeRoutes) {
        let version = version_of(&object.metadata);
        let Some(name) = object.metadata.name else { return };
        let uid = object.metadata.uid.unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let said = object.status.unwrap_or_default();
        let agent_pod_uid = object.spec.agent_pod_uid.clone();
        // The controller writes it: nonsense is a defect, and a node that never answers shows it.
        let read = || object.spec.read().ok().map(Arc::new);
        let mut known = self.nodes.get_mut(&name).filter(|known| known.uid == uid);
        if let Some(known) = &mut known {
            known.version = known.version.max(version);
        }
        match known {
            Some(known) if known.generation == generation => {
                if !known.saying {
                    known.said = said;
                }
            }
            Some(known) => {
                known.generation = generation;
                let Some(table) = read() else { return };
                (known.agent_pod_uid, known.table) = (agent_pod_uid, table);
                known.since = std::time::Instant::now();
            }
            None => {
                let Some(table) = read() else { return };
                let (since, routed) = (std::time::Instant::now(), HashSet::new());
                let saying = false;
                let known =
                    Known { uid, version, generation, agent_pod_uid, table, said, saying, since, routed };
                self.nodes.insert(name.clone(), known);
            }
        }
        self.look(&name);
    }

    fn look(&mut self, node: &str) {
        let Some(known) = self.nodes.get_mut(node).filter(|it| !it.saying) else { return };
        let Some(instance) = self.shared.instances().get(node).cloned() else { return };
        // Only the agent that is named may write.
        if known.agent_pod_uid.as_ref() != Some(&instance.pod_uid) {
            return;
        }
        let agent = self.shared.manners().get(node).cloned().unwrap_or_default();
        if agent.silent {
            return;
        }
        let late = agent.delay.saturating_sub(known.since.elapsed());
        if !late.is_zero() {
            return self.again(node, late);
        }
        let status = agent.word(&known.table, instance, known.generation);
        if status == known.said {
            return;
        }
        known.saying = true;
        let object = status.replacing(node, &known.uid, known.version);
        let how = PostParams { field_manager: Some("byway-agent".to_owned()), ..PostParams::default() };
        let api: Api<NodeRoutes> = Api::all(self.client.clone());
        let (notes, most, node) = (self.notes.clone(), self.most.clone(), node.to_owned());
        let fresh = word::fresh_backends(&known.table, &mut known.routed);
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let _permit = most.acquire_owned().await;
            let done = api.replace_subresource("status", &node, &how, &object).await.ok();
            if done.is_some() && !fresh.is_empty() {
                let node = node.clone();
                shared.happened(|at| Happened::Acknowledged { node, backends: fresh, at });
            }
            let done = done.map(|object| (status, version_of(&object.metadata)));
            let _ = notes.send(Note::Written(node, done)); // it may have ended
        });
    }

    fn written(&mut self, node: &str, done: Option<(NodeRoutesStatus, u64)>) {
        let Some(known) = self.nodes.get_mut(node) else { return };
        known.saying = false;
        match done {
            Some((status, version)) => {
                known.said = status;
                known.version = known.version.max(version);
                self.look(node);
            }
            None => self.again(node, PAUSE),
        }
    }

    fn again(&self, node: &str, pause: Duration) {
        let (notes, node) = (self.notes.clone(), node.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = notes.send(Note::Again(node)); // the simulation may have ended
        });
    }
}

fn version_of(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// Where notes go to, and where they come from.
pub(crate) fn notes() -> (UnboundedSender<Note>, UnboundedReceiver<Note>) {
    mpsc::unbounded_channel()
}

/// The name of the agent's pod on a node.
pub(crate) fn pod_name(node: &str) -> String {
    format!("byway-agent-{node}")
}

/// Makes the pods of agents.
pub(crate) async fn create(client: &Client, namespace: &str, nodes: &[String]) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let create = |node: &String| {
        let (api, pod) = (api.clone(), pod(node));
        async move {
            let pod: Pod = serde_json::from_value(pod)?;
            api.create(&PostParams::default(), &pod).await?;
            anyhow::Ok(())
        }
    };
    stream::iter(nodes.iter().map(create)).buffer_unordered(32).try_collect().await
}

fn pod(node: &str) -> Value {
    json!({
        "metadata": { "name": pod_name(node), "labels": { names::COMPONENT_LABEL: names::AGENT_COMPONENT } },
        "spec": { "nodeName": node, "containers": [{ "name": "agent", "image": "byway/agent" }] },
    })
}
