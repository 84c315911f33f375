//! Where the tests play: a cluster with simulated nodes, a controller, and a namespace for each test.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use byway_sim::{ApiProxy, Controller, Kube, Sim};
use byway_tests::{Cluster, eventually, table_of};
use serde_json::{Value, json};

/// Longest wait for what should take a moment, on processors that others use as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Nodes of the shared stage that any pod may be on.
const OPEN: usize = 3;
/// Nodes of the shared stage for tests that do something to their agents, see [`own_nodes`].
const OWN: usize = 23;

/// A cluster, and what is simulated on it.
pub(crate) struct Stage {
    // Dropped in this order.
    pub(crate) sim: Sim,
    pub(crate) kube: Kube,
    pub(crate) cluster: Cluster,
}

impl Stage {
    /// A new one, with so many nodes and without a controller.
    pub(crate) fn new(nodes: usize) -> Self {
        let cluster = Cluster::builder().simulated_nodes().without_scheduler().start().unwrap();
        let kube = Kube::of(&cluster).unwrap();
        kube.install_crds().unwrap();
        let sim = Sim::builder(&kube).nodes(nodes).start().unwrap();
        Self { sim, kube, cluster }
    }

    /// A controller that leads. To it, there are no previews in namespaces with the label `without-previews`.
    pub(crate) fn controller(&self) -> Controller {
        let elsewhere = json!({ "key": "without-previews", "operator": "DoesNotExist" });
        let open = format!("--preview-namespaces={}", json!({ "matchExpressions": [elsewhere] }));
        Controller::builder(self.cluster.kubeconfig()).args([open]).lead().unwrap()
    }

    /// A controller behind a proxy; it need not lead yet.
    pub(crate) fn watched(&self, identity: &str) -> (ApiProxy, Controller) {
        let proxy = ApiProxy::start(&self.kube).unwrap();
        let controller = Controller::builder(proxy.kubeconfig()).identity(identity).lease(3).start().unwrap();
        (proxy, controller)
    }

    /// A namespace of a test's own.
    pub(crate) fn space(&self, name: &str) -> Space<'_> {
        self.labelled_space(name, &json!({}))
    }

    /// The same, with labels.
    pub(crate) fn labelled_space(&self, name: &str, labels: &Value) -> Space<'_> {
        let name = self.kube.namespace(name, labels).unwrap();
        Space { stage: self, name }
    }
}

/// The stage of all tests that disturb nobody.
pub(crate) fn shared() -> &'static Stage {
    static SHARED: LazyLock<(Stage, Controller)> = LazyLock::new(|| {
        let stage = Stage::new(OPEN + OWN);
        stage.sim.nodes()[OPEN..].iter().for_each(|node| stage.sim.cordon(node));
        let controller = stage.controller();
        (stage, controller)
    });
    &SHARED.0
}

/// So many nodes of the shared stage that no other test uses.
pub(crate) fn own_nodes(count: usize) -> &'static [String] {
    static NEXT: AtomicUsize = AtomicUsize::new(OPEN);
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    shared().sim.nodes().get(first..first + count).expect("OWN is what all tests take together")
}

/// Has all pods of a workload on these nodes.
pub(crate) fn on_nodes(mut workload: Value, nodes: &[String]) -> Value {
    let is = |node| json!({ "key": "metadata.name", "operator": "In", "values": [node] });
    let terms: Vec<_> = nodes.iter().map(|node| json!({ "matchFields": [is(node)] })).collect();
    let required = json!({ "nodeSelectorTerms": terms });
    workload["spec"]["template"]["spec"]["affinity"] =
        json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": required } });
    workload
}

/// A namespace.
#[derive(Clone)]
pub(crate) struct Space<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) name: String,
}

impl Space<'_> {
    pub(crate) fn kube(&self) -> &Kube {
        &self.stage.kube
    }

    /// Applies an object in this namespace.
    pub(crate) fn apply(&self, object: Value) -> Value {
        self.try_apply(object).unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub(crate) fn try_apply(&self, mut object: Value) -> anyhow::Result<Value> {
        object["metadata"]["namespace"] = json!(self.name);
        self.kube().apply(&object)
    }

    /// A Deployment `name` whose pods run, with port 8080.
    pub(crate) fn deployment(&self, name: &str, replicas: u32) -> Value {
        self.apply(workload("Deployment", name, replicas))
    }

    /// Applies a Preview of the Deployment `app`, with more fields of the spec.
    pub(crate) fn preview(&self, name: &str, more: Value) -> Value {
        self.apply(preview(name, more))
    }

    /// The same with nothing more, where the API server may be away.
    pub(crate) fn try_preview(&self, name: &str) -> anyhow::Result<Value> {
        self.try_apply(preview(name, json!({})))
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.kube().get(kind, &self.name, name).unwrap()
    }

    pub(crate) fn list(&self, kind: &str, labels: &str) -> Vec<Value> {
        self.kube().list(kind, &self.name, labels).unwrap()
    }

    pub(crate) fn merge(&self, kind: &str, name: &str, patch: Value) {
        self.kube().merge(kind, &self.name, name, &patch).unwrap();
    }

    pub(crate) fn delete(&self, kind: &str, name: &str) {
        self.kube().delete(kind, &self.name, name).unwrap();
    }

    /// The Preview, once `is` holds of it.
    pub(crate) fn wait(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.wait_within(PATIENCE, name, what, is)
    }

    fn wait_within(&self, patience: Duration, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = eventually(patience, || {
            last = self.get("Preview", name).unwrap_or_default();
            is(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| {
            panic!("{}/{name} never was {what}; its status: {:#}", self.name, last["status"])
        })
    }

    /// The Preview, once it is ready.
    pub(crate) fn wait_ready(&self, name: &str) -> Value {
        self.wait_ready_within(PATIENCE, name)
    }

    /// The same, where it takes longer.
    pub(crate) fn wait_ready_within(&self, patience: Duration, name: &str) -> Value {
        self.wait_within(patience, name, "ready", |it| {
            phase(it) == "Ready" && it["status"]["observedGeneration"] == it["metadata"]["generation"]
        })
    }

    /// The message of a condition, once it is so.
    pub(crate) fn wait_condition(&self, name: &str, type_: &str, status: &str, reason: &str) -> String {
        let what = format!("{type_}={status} ({reason})");
        let found = self.wait(name, &what, |it| {
            let condition = condition(it, type_);
            condition["status"] == status && condition["reason"] == reason
        });
        condition(&found, type_)["message"].as_str().unwrap().to_owned()
    }

    /// Waits for `ready` of the same reason as the condition that is at fault, and returns its message.
    pub(crate) fn wait_not_ready(&self, name: &str, type_: &str, reason: &str) -> String {
        let message = self.wait_condition(name, type_, "False", reason);
        let said = self.wait_condition(name, "Ready", "False", reason);
        assert_eq!(said, message, "Ready says what {type_} says");
        message
    }

    /// Waits until it is not ready for this reason, and says exactly this.
    pub(crate) fn wait_says(&self, name: &str, type_: &str, reason: &str, message: &str) {
        let what = format!("{type_}=False ({reason}: {message})");
        self.wait(name, &what, |it| {
            [type_, "Ready"]
                .into_iter()
                .map(|type_| condition(it, type_))
                .all(|it| it["status"] == "False" && it["reason"] == reason && it["message"] == message)
        });
    }

    /// What NodeRoutes say of the Preview: its entry, with the names of its targets, by node.
    pub(crate) fn routes(&self, name: &str) -> Vec<Routed> {
        let full = format!("{}/{name}", self.name);
        let all = self.kube().list("NodeRoutes", "", "").unwrap();
        let of = |object: &Value| {
            let table = table_of(object)?;
            let previews = table["previews"].as_array()?;
            let entry = previews.iter().find(|it| it["name"] == *full)?.clone();
            let targets = table["targets"].as_array()?.iter();
            let targets =
                targets.filter(|it| it["previews"].as_array().is_some_and(|it| it.contains(&json!(full))));
            Some(Routed { entry, targets: targets.cloned().collect(), object: object.clone() })
        };
        all.iter().filter_map(of).collect()
    }

    /// Waits until no node routes to the Preview.
    pub(crate) fn wait_no_routes(&self, name: &str) {
        let gone = eventually(PATIENCE, || self.routes(name).is_empty().then_some(()));
        assert!(gone.is_some(), "{}/{name} still has routes", self.name);
    }

    /// Waits until there is no such object. The garbage collector looks only every half minute which kinds there are, so
    /// soon after the start of a cluster it may not know yet that Previews own something.
    pub(crate) fn wait_gone(&self, kind: &str, name: &str) {
        let gone = eventually(3 * PATIENCE, || self.get(kind, name).is_none().then_some(()));
        assert!(gone.is_some(), "{kind} {}/{name} is still there", self.name);
    }

    /// Waits until so many pods with these labels are Ready; none of them may be on its way out.
    pub(crate) fn wait_pods(&self, labels: &str, count: usize) -> Vec<Value> {
        let mut last = Vec::new();
        let found = eventually(PATIENCE, || {
            last = self.list("Pod", labels);
            let all = last.len() == count && last.iter().all(|it| is_true(it, "Ready"));
            all.then(|| last.clone())
        });
        found.unwrap_or_else(|| {
            panic!("no {count} ready pods with {labels} in {}: {}", self.name, short(&last))
        })
    }
}

/// An entry of NodeRoutes.
pub(crate) struct Routed {
    pub(crate) entry: Value,
    pub(crate) targets: Vec<Value>,
    pub(crate) object: Value,
}

/// A workload `name` whose pods have the label `app: NAME` and one container with port 8080.
pub(crate) fn workload(kind: &str, name: &str, replicas: u32) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [container()] },
            },
        },
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = json!(replicas);
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = json!(name);
        object["spec"]["podManagementPolicy"] = json!("Parallel");
    }
    object
}

pub(crate) fn container() -> Value {
    json!({ "name": "app", "image": "app:stable", "ports": [{ "containerPort": 8080, "protocol": "TCP" }] })
}

/// A Preview of the Deployment `app`, with more fields of the spec; a field that is null is left out.
pub(crate) fn preview(name: &str, more: Value) -> Value {
    let mut object = json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": name },
        "spec": { "key": name, "target": { "kind": "Deployment", "name": "app" }, "image": "app:preview" },
    });
    for (field, value) in more.as_object().unwrap() {
        if value.is_null() {
            object["spec"].as_object_mut().unwrap().remove(field);
        } else {
            object["spec"][field] = value.clone();
        }
    }
    object
}

pub(crate) fn phase(preview: &Value) -> &str {
    preview["status"]["phase"].as_str().unwrap_or_default()
}

pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|it| it["type"] == type_).unwrap_or(&Value::Null)
}

pub(crate) fn is_true(object: &Value, type_: &str) -> bool {
    condition(object, type_)["status"] == "True"
}

/// Names and conditions, for a failed test to show.
fn short(objects: &[Value]) -> String {
    let of = |it: &Value| format!("{} {}", it["metadata"]["name"], it["status"]["conditions"]);
    objects.iter().map(of).collect::<Vec<_>>().join("\n")
}
