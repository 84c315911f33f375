//! The policy on who writes the status of a NodeRoutes: the agent pod that its spec names.

use std::path::PathBuf;

use byway_tests::eventually;
use serde_json::{Value, json};

use crate::installed::{NAMESPACE, Who, apply, cluster, no_controller, replace_status};

/// What the policy says, whoever it stops.
const DENIED: &str = "only the agent pod that spec.agentPodUid names";

/// A pod of an account on a node of its own.
struct Pod {
    name: String,
    uid: String,
    namespace: String,
    account: String,
}

impl Pod {
    fn new(namespace: &str, account: &str, name: &str) -> Self {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": namespace },
            "spec": { "serviceAccountName": account, "nodeName": name, "containers": [{ "name": "a", "image": "a" }] },
        });
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } });
        cluster().apply(&node.to_string()).unwrap();
        cluster().apply(&pod.to_string()).unwrap();
        let get = ["get", "pod", name, "-n", namespace, "-o", "jsonpath={.metadata.uid}"];
        let uid = cluster().ask(get).unwrap();
        Self { name: name.to_owned(), uid, namespace: namespace.to_owned(), account: account.to_owned() }
    }

    /// A token as it is mounted in the pod.
    fn token(&self) -> PathBuf {
        cluster().kubeconfig_for(&self.namespace, &self.account, Some((&self.name, &self.uid))).unwrap()
    }
}

/// The routes of a node, with the agent that may acknowledge them.
fn routes(name: &str, agent: Option<&str>) {
    apply(Who::Admin, "", &byway_tests::node_routes(name, agent, &json!({}))).unwrap();
}

fn object(name: &str, parts: Value) -> Value {
    let mut object = parts;
    object["apiVersion"] = "byway.dev/v1alpha1".into();
    object["kind"] = "NodeRoutes".into();
    object["metadata"]["name"] = name.into();
    object
}

fn write(who: Who<'_>, routes: &str) -> Result<String, String> {
    let status = json!({ "previews": [{ "name": "a/b" }] });
    replace_status(who, object(routes, json!({ "spec": { "table": "" }, "status": status })))
}

#[test]
fn an_agent_writes_the_status_of_its_own_node_and_of_no_other() {
    let _quiet = no_controller();
    let [one, two] = ["writers-1", "writers-2"].map(|node| Pod::new(NAMESPACE, "byway-agent", node));
    for pod in [&one, &two] {
        routes(&pod.name, Some(&pod.uid));
    }
    let token = one.token();
    write(Who::Bearer(&token), &one.name).unwrap();
    let denied = write(Who::Bearer(&token), &two.name).unwrap_err();
    assert!(denied.contains(DENIED) && denied.contains(&two.uid), "{denied}");

    // The other one takes over, as in an upgrade.
    routes(&one.name, Some(&two.uid));
    assert!(write(Who::Bearer(&token), &one.name).is_err());
    write(Who::Bearer(&two.token()), &one.name).unwrap();

    // Nobody is named.
    routes(&one.name, None);
    let denied = write(Who::Bearer(&token), &one.name).unwrap_err();
    assert!(denied.contains(DENIED) && denied.contains("(none)"), "{denied}");
}

#[test]
fn an_agent_writes_nothing_but_the_status() {
    let _quiet = no_controller();
    let pod = Pod::new(NAMESPACE, "byway-agent", "writers-3");
    routes(&pod.name, Some(&pod.uid));
    let token = pod.token();
    let sly = json!({
        "metadata": { "labels": { "a": "b" } }, "spec": { "agentPodUid": "x", "table": "{}" }, "status": { "previews": [] },
    });
    let denied = apply(Who::Bearer(&token), "", &object(&pod.name, sly.clone())).unwrap_err();
    assert!(denied.contains("cannot patch resource \"noderoutes\""), "{denied}");
    // What comes along with a status is not taken.
    replace_status(Who::Bearer(&token), object(&pod.name, sly)).unwrap();
    let get = ["get", "noderoutes", &pod.name, "-o", "jsonpath={.spec.agentPodUid} {.metadata.labels}"];
    assert_eq!(cluster().ask(get).unwrap(), format!("{} ", pod.uid));
}

#[test]
fn a_token_that_is_bound_to_no_pod_writes_no_status() {
    let _quiet = no_controller();
    let pod = Pod::new(NAMESPACE, "byway-agent", "writers-4");
    routes(&pod.name, Some(&pod.uid));
    let unbound = cluster().kubeconfig_for(NAMESPACE, "byway-agent", None).unwrap();
    let denied = write(Who::Bearer(&unbound), &pod.name).unwrap_err();
    assert!(denied.contains(DENIED), "{denied}");

    let denied = write(Who::Bearer(&legacy(&unbound)), &pod.name).unwrap_err();
    assert!(denied.contains(DENIED), "{denied}");
}

/// A kubeconfig with a token of the old kind, which never ends and lies in a Secret.
fn legacy(like: &std::path::Path) -> PathBuf {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "legacy", "namespace": NAMESPACE,
            "annotations": { "kubernetes.io/service-account.name": "byway-agent" },
        },
    });
    cluster().apply(&secret.to_string()).unwrap();
    let get =
        ["get", "secret", "legacy", "-n", NAMESPACE, "-o", "go-template={{ .data.token | base64decode }}"];
    let token = || cluster().ask(get).ok().filter(|token| token.contains('.'));
    let token = eventually(std::time::Duration::from_secs(30), token).expect("a token is made");
    let mut config: Value = serde_json::from_slice(&std::fs::read(like).unwrap()).unwrap();
    config["users"][0]["user"]["token"] = token.into();
    let file = like.with_extension("legacy");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

#[test]
fn nobody_else_writes_a_status_whatever_their_roles() {
    let _quiet = no_controller();
    let pod = Pod::new(NAMESPACE, "byway-agent", "writers-5");
    routes(&pod.name, Some(&pod.uid));
    let denied = write(Who::Admin, &pod.name).unwrap_err();
    assert!(denied.contains(DENIED), "{denied}");
    // It has not even the role.
    let controller = cluster().kubeconfig_for(NAMESPACE, "byway-controller", None).unwrap();
    let denied = write(Who::Bearer(&controller), &pod.name).unwrap_err();
    assert!(denied.contains("cannot update resource \"noderoutes/status\""), "{denied}");
}

/// A policy that asked only about the account it knows would let this one write everything.
#[test]
fn an_account_of_another_name_or_namespace_writes_no_status() {
    let _quiet = no_controller();
    let elsewhere = cluster().namespace("elsewhere").unwrap();
    for (node, namespace, account) in
        [("writers-6", NAMESPACE, "renamed"), ("writers-7", elsewhere.as_str(), "byway-agent")]
    {
        cluster().ask(["create", "serviceaccount", account, "-n", namespace]).unwrap();
        let user = format!("system:serviceaccount:{namespace}:{account}");
        let args = ["create", "clusterrolebinding", node, "--clusterrole=byway-agent", "--user", &user];
        cluster().ask(args).unwrap();
        let pod = Pod::new(namespace, account, node);
        routes(node, Some(&pod.uid));
        let token = pod.token();
        let denied = || write(Who::Bearer(&token), node).err().filter(|said| said.contains(DENIED));
        assert!(eventually(std::time::Duration::from_secs(10), denied).is_some(), "{user}");
    }
}
