//! A control plane with the chart installed, shared by all tests of this file.
//!
//! It is always one of our own: the chart is for a whole cluster, and somebody else's may have a Byway already.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::Duration;

use byway_tests::{Cluster, eventually};
use serde_json::{Value, json};

/// Where the chart is installed.
pub(crate) const NAMESPACE: &str = "byway";
/// The chart.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/byway");

/// The API server compiles policies, and adds roles up, in its own time.
const SOON: Duration = Duration::from_secs(30);

/// Nodes are objects without a kubelet.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
        let cluster = Cluster::builder().simulated_nodes().start().unwrap();
        let mut helm = cluster.helm().unwrap();
        helm.args(["install", "byway", CHART, "-n", NAMESPACE, "--create-namespace"]);
        let done = helm.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        wait_for_policies(&cluster);
        cluster
    });
    &CLUSTER
}

/// A controller takes away routes that it has not planned, so it works alone, and who plays one does so in its absence.
static ROUTES: RwLock<()> = RwLock::new(());

/// While the guard lives, nobody makes routes but the controller.
pub(crate) fn controller_alone() -> impl Drop {
    ROUTES.write().unwrap_or_else(PoisonError::into_inner)
}

/// While the guard lives, there is no controller.
pub(crate) fn no_controller() -> impl Drop {
    ROUTES.read().unwrap_or_else(PoisonError::into_inner)
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who<'a> {
    /// Whoever installed the cluster: no role stops them.
    Admin,
    /// A user without rights but those that were granted.
    User(&'a str),
    /// The bearer of the token in a kubeconfig.
    Bearer(&'a Path),
}

/// What the API server says to `kubectl` with these arguments and this input: `Err` if it is no.
pub(crate) fn ask(who: Who<'_>, args: &[&str], input: &str) -> Result<String, String> {
    ask_of(cluster(), who, args, input)
}

fn ask_of(cluster: &Cluster, who: Who<'_>, args: &[&str], input: &str) -> Result<String, String> {
    let mut kubectl = cluster.kubectl();
    kubectl.args(args);
    match who {
        Who::Admin => {}
        Who::User(name) => drop(kubectl.args(["--as", name, "--as-group=system:authenticated"])),
        Who::Bearer(kubeconfig) => drop(kubectl.env("KUBECONFIG", kubeconfig)),
    }
    kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = kubectl.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    if output.status.success() { Ok(out) } else { Err(err) }
}

/// A Preview of this target; of none if it is null.
pub(crate) fn preview(namespace: &str, name: &str, target: &Value) -> String {
    let mut preview = json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "image": "localhost/app:2", "incoming": { "ports": [8080] } },
    });
    if !target.is_null() {
        preview["spec"]["target"] = target.clone();
    }
    preview.to_string()
}

/// Rights of a user in a namespace: a group, a resource, verbs, and names, of which none means all.
pub(crate) type Rule<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str]);

/// Grants `user` exactly this in `namespace`, beside what was granted before, and waits until it is in force.
pub(crate) fn grant(namespace: &str, user: &str, rules: &[Rule<'_>]) {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(group, resource, verbs, names)| {
            json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs, "resourceNames": names })
        })
        .collect();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": { "name": user, "namespace": namespace }, "rules": rules,
    });
    cluster().apply(&role.to_string()).unwrap();
    bind(cluster(), namespace, user, "Role", user);
    for rule in &rules {
        let [group, resource, verb] = ["apiGroups", "resources", "verbs"].map(|field| &rule[field][0]);
        let what = json!({
            "namespace": namespace, "group": group, "resource": resource, "verb": verb, "name": rule["resourceNames"][0],
        });
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": { "user": user, "resourceAttributes": what },
        });
        let create = ["create", "-f", "-", "-o", "jsonpath={.status.allowed}"];
        let may = || (ask(Who::Admin, &create, &review.to_string()).ok()? == "true").then_some(());
        assert!(eventually(SOON, may).is_some(), "{user} may not {what} after 30 s");
    }
}

/// A server-side apply, which is one request: other ways of `kubectl` read the object first.
pub(crate) fn apply(who: Who<'_>, subresource: &str, object: &Value) -> Result<String, String> {
    let subresource = format!("--subresource={subresource}");
    let how = ["apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-"];
    ask(who, &[&how[..], &[&subresource]].concat(), &object.to_string())
}

/// Replaces the status of a NodeRoutes, as agents do.
pub(crate) fn replace_status(who: Who<'_>, mut routes: Value) -> Result<String, String> {
    let name = routes["metadata"]["name"].as_str().unwrap().to_owned();
    let version = ["get", "noderoutes", &name, "-o", "jsonpath={.metadata.resourceVersion}"];
    routes["metadata"]["resourceVersion"] = ask(Who::Admin, &version, "")?.into();
    let how = ["replace", "--validate=false", "--subresource=status", "-f", "-"];
    ask(who, &how, &routes.to_string())
}

/// Binds a role to a user.
pub(crate) fn bind(cluster: &Cluster, namespace: &str, user: &str, kind: &str, role: &str) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": format!("{user}-{role}"), "namespace": namespace },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
    });
    cluster.apply(&binding.to_string()).unwrap();
}

/// Until both policies deny what they are there to deny.
fn wait_for_policies(cluster: &Cluster) {
    bind(cluster, "default", "nobody", "ClusterRole", "byway-edit");
    let routes = byway_tests::node_routes("probe", None, &json!({}));
    cluster.apply(&routes.to_string()).unwrap();
    let (dry, object) = ("--dry-run=server", preview("default", "probe", &Value::Null));
    let status = [
        "patch",
        "noderoutes",
        "probe",
        "--subresource=status",
        "--type=merge",
        dry,
        "-p",
        "{\"status\":{}}",
    ];
    let in_force = || {
        let creator = ask_of(cluster, Who::User("nobody"), &["create", dry, "-f", "-"], &object);
        let writer = ask_of(cluster, Who::Admin, &status, "");
        let denied = |answer: Result<String, String>, by: &str| answer.is_err_and(|said| said.contains(by));
        (denied(creator, "previews.byway.dev") && denied(writer, "noderoutes-status.byway.dev")).then_some(())
    };
    assert!(eventually(SOON, in_force).is_some(), "the policies are not in force after 30 s");
}
