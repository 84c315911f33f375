//! Follows the cluster: each watch turns objects into rows and hands them to the reconciler.
//!
//! Nothing is decided here. A watch that breaks is begun again with a back-off; meanwhile the tables keep what they have.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use byway_api::{NodeRoutes, Preview, TargetKind, names};
use byway_plan::table::Change;
use byway_plan::update::Update;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::core::{DeserializeGuard, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

mod objects;
mod pauses;
mod pods;
mod problem;
mod scopes;
mod slim;

pub use scopes::Scopes;

use objects::{
    child, keyed_by_uid, namespace, node, node_routes, of, own_policy, pod_template, preview, service,
    workload,
};
use pauses::Pauses;

use crate::args::Settings;
use crate::metrics::Metrics;
use crate::rollout::rollout_resource;
use crate::write::is_gone;

/// Where watches send what they see, and what they need for it.
#[derive(Clone)]
pub struct Watch {
    /// The API server.
    pub client: Client,
    /// To the reconciler, which is quick: a full channel holds a list up, so that it does not pile up in memory.
    pub updates: Sender<Update>,
    /// Counts errors.
    pub metrics: Arc<Metrics>,
}

/// A watch that nothing was heard of for a little longer than this is dead, and begun again.
const TIMEOUT_S: u32 = 50;
/// So that a list is never in memory as a whole.
const PAGE: u32 = 100;
/// A first list that takes longer than this is worth a word.
const FIRST_LIST: Duration = Duration::from_secs(30);
/// How often it is looked whether Argo Rollouts has been installed.
const ROLLOUTS: Duration = Duration::from_secs(30);

impl Watch {
    /// Starts all watches but those of targets' pods, see [`Scopes`].
    pub fn start(&self, settings: &Settings) {
        let client = || self.client.clone();
        let ours = names::PREVIEW_LABEL;
        let agents = format!("{}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT);

        let previews: Api<DeserializeGuard<Preview>> = Api::all(client());
        self.follow("previews", previews, config(), preview, Update::Preview);
        let children: Api<slim::Child> = Api::all(client());
        self.follow("deployments", children, config().labels(ours), |it| child(&it), Update::Child);
        let pods: Api<slim::Pod> = Api::all(client());
        self.follow(
            "preview pods",
            pods,
            config().labels(ours),
            |p| keyed_by_uid(&p, pods::preview),
            Update::PreviewPod,
        );
        let pods: Api<slim::Pod> = Api::namespaced(client(), &settings.namespace);
        self.follow(
            "agents",
            pods,
            config().labels(&agents),
            |p| keyed_by_uid(&p, pods::agent),
            Update::Agent,
        );
        let nodes: Api<PartialObjectMeta<Node>> = Api::all(client());
        self.follow("nodes", nodes, config(), node, Update::Node);
        let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client());
        let settings = settings.clone();
        let row = move |it| namespace(it, &settings);
        self.follow("namespaces", namespaces, config(), row, Update::Namespace);
        let published: Api<NodeRoutes> = Api::all(client());
        self.follow("noderoutes", published, config(), node_routes, Update::NodeRoutes);

        self.workloads(Api::<slim::Deployment>::all(client()), TargetKind::Deployment, config(), |o| &o.spec);
        self.workloads(Api::<slim::StatefulSet>::all(client()), TargetKind::StatefulSet, config(), |o| {
            &o.spec
        });
        self.workloads(Api::<slim::DaemonSet>::all(client()), TargetKind::DaemonSet, config(), |o| &o.spec);
        // Those of Deployments are many, and nobody's target.
        let own = config().labels("!pod-template-hash");
        self.workloads(Api::<slim::ReplicaSet>::all(client()), TargetKind::ReplicaSet, own, |o| &o.spec);
        tokio::spawn(self.clone().rollouts());
        let templates: Api<slim::PodTemplate> = Api::all(client());
        self.follow("podtemplates", templates, config(), |it| pod_template(&it), Update::PodTemplate);

        let services: Api<slim::Service> = Api::all(client());
        self.follow("services", services, config(), service, Update::Service);
        let budgets: Api<slim::Budget> = Api::all(client());
        self.follow(
            "poddisruptionbudgets",
            budgets,
            config(),
            |o| Some((of(&o.metadata)?, Some(o.spec.selector))),
            Update::Budget,
        );
        let policies: Api<slim::NetworkPolicy> = Api::all(client());
        self.follow(
            "networkpolicies",
            policies,
            config().labels(&format!("!{ours}")),
            |o| Some((of(&o.metadata)?, Some(Box::new(o.spec)))),
            Update::Policy,
        );
        let own: Api<PartialObjectMeta<NetworkPolicy>> = Api::all(client());
        self.follow(
            "networkpolicies of previews",
            own,
            config().labels(ours),
            |it| own_policy(&it),
            Update::OwnPolicy,
        );
    }

    fn workloads<K>(&self, api: Api<K>, kind: TargetKind, config: Config, spec: fn(&K) -> &slim::WorkloadSpec)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let row = move |object: K| workload(object.meta(), spec(&object));
        self.follow("workloads", api, config, row, move |change| Update::Workload(kind, change));
    }

    /// Rollouts are there or not, and may come later.
    async fn rollouts(self) {
        let resource = rollout_resource();
        let wrap = |change| Update::Workload(TargetKind::Rollout, change);
        let mut pauses = Pauses::default();
        loop {
            match self.client.list_api_group_resources(&resource.api_version).await {
                Ok(list) if list.resources.iter().any(|it| it.name == resource.plural) => {
                    let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
                    let row = |object: DynamicObject| {
                        let spec = object.data["spec"].clone();
                        let spec = serde_json::from_value(spec).unwrap_or_default();
                        workload(&object.metadata, &spec)
                    };
                    return self.run("rollouts", watcher(api, config()), row, wrap).await;
                }
                Ok(_) => {}
                Err(error) if is_gone(&error) => {}
                // That there are none would end the routes of all that there are.
                Err(error) => {
                    self.broke("rollouts", &error);
                    tokio::time::sleep(pauses.next().unwrap_or(ROLLOUTS)).await;
                    continue;
                }
            }
            for change in [Change::ListBegins, Change::ListEnds] {
                if self.updates.send(wrap(change)).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(ROLLOUTS).await;
        }
    }

    fn follow<O, K, V>(
        &self,
        what: &'static str,
        api: Api<O>,
        config: Config,
        row: impl Fn(O) -> Option<(K, Option<V>)> + Send + 'static,
        wrap: impl Fn(Change<K, V>) -> Update + Send + 'static,
    ) -> tokio::task::AbortHandle
    where
        O: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        O::DynamicType: Send,
        K: Send + 'static,
        V: Send + 'static,
    {
        self.spawn(what, watcher(api, config), row, wrap)
    }

    fn spawn<O: Send + 'static, K: Send + 'static, V: Send + 'static>(
        &self,
        what: &'static str,
        stream: impl futures::Stream<Item = watcher::Result<Event<O>>> + Send + 'static,
        row: impl Fn(O) -> Option<(K, Option<V>)> + Send + 'static,
        wrap: impl Fn(Change<K, V>) -> Update + Send + 'static,
    ) -> tokio::task::AbortHandle {
        let watch = self.clone();
        tokio::spawn(async move { watch.run(what, stream, row, wrap).await }).abort_handle()
    }

    async fn run<O, K, V>(
        &self,
        what: &'static str,
        stream: impl futures::Stream<Item = watcher::Result<Event<O>>> + Send,
        row: impl Fn(O) -> Option<(K, Option<V>)>,
        wrap: impl Fn(Change<K, V>) -> Update,
    ) {
        let mut stream = std::pin::pin!(stream.backoff(Pauses::default()).into_stream());
        let (begun, mut listed) = (Instant::now(), false);
        let mut patience = tokio::time::interval_at(begun + FIRST_LIST, FIRST_LIST);
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                _ = patience.tick(), if !listed => {
                    let waited_s = begun.elapsed().as_secs();
                    tracing::warn!(watch = what, waited_s, "there is no list yet, and without it nothing is planned: may this account list and watch these?");
                    continue;
                }
            };
            let Some(event) = event else { return };
            listed |= matches!(event, Ok(Event::InitDone));
            let change = match event {
                Ok(event) => into_change(event, &row),
                Err(error) => {
                    self.broke(what, &error);
                    None
                }
            };
            if let Some(change) = change
                && self.updates.send(wrap(change)).await.is_err()
            {
                return;
            }
        }
    }

    fn broke(&self, what: &'static str, error: &dyn std::fmt::Display) {
        self.metrics.watch_failed(what);
        tracing::warn!(watch = what, %error, "a watch broke and is begun again");
    }
}

fn into_change<O, K, V>(event: Event<O>, row: impl Fn(O) -> Option<(K, Option<V>)>) -> Option<Change<K, V>> {
    match event {
        Event::Init => Some(Change::ListBegins),
        Event::InitApply(object) => row(object).map(|(key, row)| Change::Listed(key, row)),
        Event::InitDone => Some(Change::ListEnds),
        Event::Apply(object) => row(object).map(|(key, row)| Change::Now(key, row)),
        Event::Delete(object) => row(object).map(|(key, _)| Change::Now(key, None)),
    }
}

fn config() -> Config {
    Config::default().timeout(TIMEOUT_S).page_size(PAGE)
}
