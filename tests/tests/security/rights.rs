//! The rights of both accounts, all of them, as the API server adds them up. A verb more fails here: it is to be taken
//! for what it is, and told in `docs/security.md`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::installed::{NAMESPACE, Who, ask, cluster};

/// What every account may do is left out.
fn rights(account: &str, namespace: &str) -> Vec<String> {
    let common = review("default", namespace);
    review(account, namespace).difference(&common).cloned().collect()
}

fn review(account: &str, namespace: &str) -> BTreeSet<String> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": { "namespace": namespace },
    });
    let config = cluster().kubeconfig_for(NAMESPACE, account, None).unwrap();
    let said = ask(
        Who::Bearer(&config),
        &["create", "--validate=false", "-f", "-", "-o", "json"],
        &review.to_string(),
    )
    .unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["status"]["incomplete"], false);
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in said["status"]["resourceRules"].as_array().unwrap() {
        let [groups, resources, names, verbs] =
            ["apiGroups", "resources", "resourceNames", "verbs"].map(|field| list(&rule[field]));
        let names = if names.is_empty() { String::new() } else { format!(" {}", names.join(",")) };
        for (group, resource) in groups.iter().flat_map(|g| resources.iter().map(move |r| (g, r))) {
            let dot = if group.is_empty() { "" } else { "." };
            rights.insert(format!("{resource}{dot}{group}{names}: {}", verbs.join(" ")));
        }
    }
    for rule in said["status"]["nonResourceRules"].as_array().into_iter().flatten() {
        rights.insert(format!(
            "{}: {}",
            list(&rule["nonResourceURLs"]).join(","),
            list(&rule["verbs"]).join(" ")
        ));
    }
    rights
}

const CONTROLLER: &[&str] = &[
    "configmaps: get create patch delete",
    "daemonsets.apps: get list watch",
    "deployments.apps: get list watch create patch update delete",
    "events.events.k8s.io: create patch",
    "namespaces: list watch",
    "networkpolicies.networking.k8s.io: get list watch create patch update delete",
    "noderoutes.byway.dev: list watch create patch delete",
    "nodes: list watch",
    "persistentvolumeclaims: get",
    "poddisruptionbudgets.policy: list watch",
    "pods/status: patch",
    "pods: get list watch patch",
    "podtemplates: get list watch",
    "previews.byway.dev: list watch delete",
    "previews/status.byway.dev: patch",
    "replicasets.apps: get list watch",
    "rollouts.argoproj.io: get list watch",
    "services: get list watch create patch update delete",
    "statefulsets.apps: get list watch",
];

#[test]
fn the_controller_may_do_this_and_nothing_else() {
    assert_eq!(rights("byway-controller", "default"), CONTROLLER);
    let mut at_home = [CONTROLLER, &["leases.coordination.k8s.io byway-controller: get patch"]].concat();
    at_home.push("leases.coordination.k8s.io: create");
    at_home.sort_unstable();
    assert_eq!(rights("byway-controller", NAMESPACE), at_home);
}

#[test]
fn an_agent_may_do_this_and_nothing_else() {
    for namespace in [NAMESPACE, "default"] {
        let rights = rights("byway-agent", namespace);
        assert_eq!(rights, ["noderoutes.byway.dev: get list watch", "noderoutes/status.byway.dev: update"]);
    }
}

#[test]
fn the_roles_of_namespaces_come_with_previews() {
    let verbs = |role: &str| {
        let get = ["get", "clusterrole", role, "-o", "json"];
        let role: Value = serde_json::from_str(&ask(Who::Admin, &get, "").unwrap()).unwrap();
        let mut verbs = BTreeSet::new();
        for rule in role["rules"].as_array().unwrap() {
            if rule["apiGroups"].as_array().is_some_and(|groups| groups.contains(&json!("byway.dev"))) {
                assert_eq!(
                    rule["resources"],
                    json!(["previews"]),
                    "nobody but us writes statuses and routes"
                );
                verbs.extend(
                    rule["verbs"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()),
                );
            }
        }
        verbs.into_iter().collect::<Vec<_>>().join(" ")
    };
    let all = "create delete deletecollection get list patch update watch";
    let summed =
        || (verbs("edit") == all && verbs("admin") == all && verbs("view") == "get list watch").then_some(());
    let patience = std::time::Duration::from_secs(30);
    assert!(byway_tests::eventually(patience, summed).is_some(), "{}|{}", verbs("edit"), verbs("view"));
}
