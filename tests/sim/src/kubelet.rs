//! What a scheduler and the kubelets of all nodes would do with pods: bind them, report that they run, let them go.
//!
//! Level-triggered, as the real ones: from what a pod is and how it shall behave follows the next step, see [`next`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Semaphore, mpsc};

mod next;
mod picture;

use next::{Step, next};

use crate::pod::PodView;
use crate::shared::{Happened, Shared};

/// Writes under way at a time.
const WRITES: usize = 64;
/// After a write that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a pod is looked at.
pub(crate) enum Note {
    /// A watch has seen something.
    Seen(Box<Event<PodView>>),
    /// Time has passed.
    Again(String),
    /// A write has ended, with the pod as it is now.
    Written(String, Result<Option<Box<PodView>>, kube::Error>),
    /// Pods shall behave differently.
    Rules,
}

/// All kubelets.
pub(crate) struct Kubelets {
    client: Client,
    shared: Arc<Shared>,
    notes: UnboundedSender<Note>,
    pods: HashMap<String, Known>,
    listed: Option<HashSet<String>>,
    most: Arc<Semaphore>,
}

struct Known {
    view: PodView,
    /// Since when it is bound, or going.
    since: Instant,
    is_writing: bool,
}

impl Kubelets {
    pub(crate) fn new(client: Client, shared: Arc<Shared>, notes: UnboundedSender<Note>) -> Self {
        let most = Arc::new(Semaphore::new(WRITES));
        Self { client, shared, notes, pods: HashMap::new(), listed: None, most }
    }

    /// Until the simulation ends.
    pub(crate) async fn run(mut self, mut seen: UnboundedReceiver<Note>) {
        let api: Api<PodView> = Api::all(self.client.clone());
        let config = watcher::Config::default().timeout(50).page_size(500);
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
        let work = async {
            while let Some(note) = seen.recv().await {
                self.take(note);
            }
        };
        tokio::join!(watch, work);
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Seen(event) => self.take_event(*event),
            Note::Again(uid) => self.look(&uid),
            Note::Written(uid, done) => self.written(&uid, done),
            Note::Rules => {
                let all: Vec<_> = self.pods.keys().cloned().collect();
                all.iter().for_each(|uid| self.look(uid));
            }
        }
    }

    fn take_event(&mut self, event: Event<PodView>) {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(pod) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(pod.uid());
                }
                self.seen(pod);
            }
            Event::InitDone => {
                if let Some(listed) = self.listed.take() {
                    let gone: Vec<_> = self.pods.keys().filter(|it| !listed.contains(*it)).cloned().collect();
                    gone.iter().for_each(|uid| self.gone(uid));
                }
            }
            Event::Apply(pod) => self.seen(pod),
            Event::Delete(pod) => self.gone(&pod.uid()),
        }
    }

    fn seen(&mut self, mut view: PodView) {
        view.slim();
        let uid = view.uid();
        self.shared.saw_agent(&view);
        match self.pods.get_mut(&uid) {
            Some(known) if known.view.version() > view.version() => return,
            Some(known) => {
                let is_bound = known.view.spec.node_name.is_none() && view.spec.node_name.is_some();
                if is_bound || known.view.is_going() != view.is_going() {
                    known.since = Instant::now();
                }
                known.view = view;
            }
            None => {
                let known = Known { view, since: Instant::now(), is_writing: false };
                self.pods.insert(uid.clone(), known);
            }
        }
        self.look(&uid);
    }

    fn gone(&mut self, uid: &str) {
        if let Some(known) = self.pods.remove(uid) {
            self.shared.agent_gone(&known.view);
        }
    }

    fn look(&mut self, uid: &str) {
        let Some(known) = self.pods.get_mut(uid).filter(|it| !it.is_writing) else { return };
        let manner = self.shared.rules().of(&known.view);
        let step = next(&known.view, &manner, known.since.elapsed());
        let (name, namespace) = (known.view.name(), known.view.namespace());
        let pods: Api<PodView> = Api::namespaced(self.client.clone(), &namespace);
        match step {
            Step::Nothing => {}
            Step::After(pause) => self.again(uid, pause),
            Step::Bind => {
                let Some(node) = self.emptiest(uid) else { return };
                // From then on as if the watch had said so.
                let Some(known) = self.pods.get_mut(uid) else { return };
                known.view.spec.node_name = Some(node.clone());
                known.since = Instant::now();
                let binding: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
                self.write(uid, async move { bind(binding, &name, &node).await });
            }
            Step::Status(patch) => {
                let ip = known.view.status.pod_ips.first().map(|it| it.ip.clone());
                let gets_ready = patch.gets_ready && !known.view.is("ContainersReady");
                let ip = ip.or_else(|| patch.ip.clone()).filter(|_| gets_ready);
                let shared = self.shared.clone();
                self.write(uid, async move {
                    let status = Patch::Strategic(json!({ "status": patch.status }));
                    let done = pods.patch_status(&name, &PatchParams::default(), &status).await?;
                    if let Some(ip) = ip {
                        shared.happened(|at| Happened::PodReady { namespace, name, ip, at });
                    }
                    Ok(Some(Box::new(done)))
                });
            }
            Step::Remove => {
                self.write(uid, async move {
                    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
                    pods.delete(&name, &now).await?;
                    Ok(None)
                });
            }
        }
    }

    /// Of the nodes that could have a pod, the one that has the fewest of its namespace.
    fn emptiest(&self, uid: &str) -> Option<String> {
        let pod = &self.pods.get(uid)?.view;
        let neighbours = self.pods.values().filter(|it| it.view.metadata.namespace == pod.metadata.namespace);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for node in neighbours.filter_map(|it| it.view.spec.node_name.as_deref()) {
            *counts.entry(node).or_default() += 1;
        }
        let nodes = self.shared.nodes_for(pod);
        nodes.into_iter().min_by_key(|it| counts.get(it.as_str()).copied().unwrap_or_default())
    }

    fn write<F>(&mut self, uid: &str, write: F)
    where
        F: Future<Output = Result<Option<Box<PodView>>, kube::Error>> + Send + 'static,
    {
        if let Some(known) = self.pods.get_mut(uid) {
            known.is_writing = true;
        }
        let (notes, most, uid) = (self.notes.clone(), self.most.clone(), uid.to_owned());
        tokio::spawn(async move {
            let _permit = most.acquire_owned().await;
            let done = write.await;
            let _ = notes.send(Note::Written(uid, done)); // the simulation may have ended
        });
    }

    fn written(&mut self, uid: &str, done: Result<Option<Box<PodView>>, kube::Error>) {
        let Some(known) = self.pods.get_mut(uid) else { return };
        known.is_writing = false;
        match done {
            Ok(Some(view)) => self.seen(*view),
            // While it was written, the watch may have told more.
            Ok(None) if !known.view.is_going() => self.look(uid),
            Ok(None) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(_) => self.read_again(uid),
        }
    }

    /// After a write that failed, of which nothing is known.
    fn read_again(&self, uid: &str) {
        let Some(known) = self.pods.get(uid) else { return };
        let (name, namespace, uid) = (known.view.name(), known.view.namespace(), uid.to_owned());
        let pods: Api<PodView> = Api::namespaced(self.client.clone(), &namespace);
        let notes = self.notes.clone();
        tokio::spawn(async move {
            tokio::time::sleep(PAUSE).await;
            // One that is not there, or is another by now, is the watch's to tell.
            let note = match pods.get(&name).await {
                Ok(pod) if pod.uid() == uid => Note::Seen(Box::new(Event::Apply(pod))),
                _ => Note::Again(uid),
            };
            let _ = notes.send(note); // the simulation may have ended
        });
    }

    fn again(&self, uid: &str, pause: Duration) {
        let (notes, uid) = (self.notes.clone(), uid.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = notes.send(Note::Again(uid)); // the simulation may have ended
        });
    }
}

async fn bind(pods: Api<Pod>, name: &str, node: &str) -> Result<Option<Box<PodView>>, kube::Error> {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": name },
        "target": { "apiVersion": "v1", "kind": "Node", "name": node },
    });
    let done: Result<Value, _> =
        pods.create_subresource("binding", name, &PostParams::default(), &binding).await;
    done.map(|_| None)
}

/// Where notes go to, and where they come from.
pub(crate) fn notes() -> (UnboundedSender<Note>, UnboundedReceiver<Note>) {
    mpsc::unbounded_channel()
}
