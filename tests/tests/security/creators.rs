//! The policy on who makes Previews: whoever may create pods there, and read the target.

use serde_json::{Value, json};

use crate::installed::{NAMESPACE, Rule, Who, apply, ask, bind, cluster, grant, preview};

const PREVIEWS: Rule<'_> =
    ("byway.dev", "previews", &["create", "get", "list", "patch", "update", "delete"], &[]);
const PODS: Rule<'_> = ("", "pods", &["create"], &[]);
const NO_PODS: &str = "may not create pods in";
const NO_TARGET: &str = "may not read";

fn create(user: &str, preview: &str) -> Result<String, String> {
    ask(Who::User(user), &["create", "-f", "-"], preview)
}

fn app() -> Value {
    json!({ "kind": "Deployment", "name": "app" })
}

fn patch(user: &str, namespace: &str, patch: &str) -> Result<String, String> {
    ask(Who::User(user), &["patch", "preview", "a", "-n", namespace, "--type=merge", "-p", patch], "")
}

#[test]
fn who_may_edit_a_namespace_may_make_previews_in_it_and_who_may_view_it_may_not() {
    let namespace = cluster().namespace("creators").unwrap();
    bind(cluster(), &namespace, "editor", "ClusterRole", "edit");
    bind(cluster(), &namespace, "viewer", "ClusterRole", "view");
    let created = || create("editor", &preview(&namespace, "a", &app())).ok();
    byway_tests::eventually(std::time::Duration::from_secs(30), created).expect("roles are added up");
    create("editor", &preview(&namespace, "fresh", &Value::Null)).unwrap();
    patch("editor", &namespace, r#"{"spec":{"renewedAt":"2030-01-01T00:00:00Z","image":"localhost/app:3"}}"#)
        .unwrap();
    ask(Who::User("viewer"), &["get", "preview", "a", "-n", &namespace], "").unwrap();
    let denied = create("viewer", &preview(&namespace, "b", &app())).unwrap_err();
    assert!(denied.contains("cannot create resource \"previews\""), "{denied}");
    // Statuses are the controller's.
    let status =
        ["patch", "preview", "a", "-n", &namespace, "--subresource=status", "--type=merge", "-p", "{}"];
    assert!(ask(Who::User("editor"), &status, "").unwrap_err().contains("previews/status"));
    ask(Who::User("editor"), &["delete", "preview", "a", "-n", &namespace], "").unwrap();
}

#[test]
fn who_may_not_create_pods_makes_and_changes_no_preview() {
    let namespace = cluster().namespace("podless").unwrap();
    grant(&namespace, "podless", &[PREVIEWS, ("apps", "deployments", &["get"], &[])]);
    for target in [app(), Value::Null] {
        let denied = create("podless", &preview(&namespace, "a", &target)).unwrap_err();
        assert!(denied.contains(NO_PODS) && denied.contains("podless"), "{denied}");
    }
    cluster().apply(&preview(&namespace, "a", &app())).unwrap();
    for change in [r#"{"spec":{"image":"evil"}}"#, r#"{"spec":{"renewedAt":"2030-01-01T00:00:00Z"}}"#] {
        let denied = patch("podless", &namespace, change).unwrap_err();
        assert!(denied.contains(NO_PODS), "{denied}");
    }
    // What runs nothing is not the policy's business.
    patch("podless", &namespace, r#"{"metadata":{"labels":{"a":"b"}}}"#).unwrap();
    ask(Who::User("podless"), &["delete", "preview", "a", "-n", &namespace], "").unwrap();
}

#[test]
fn who_may_not_read_the_target_makes_and_changes_no_preview_of_it() {
    let namespace = cluster().namespace("blind").unwrap();
    grant(&namespace, "blind", &[PREVIEWS, PODS, ("apps", "deployments", &["list", "watch"], &[])]);
    let denied = create("blind", &preview(&namespace, "a", &app())).unwrap_err();
    assert!(denied.contains(NO_TARGET) && denied.contains("Deployment app"), "{denied}");
    create("blind", &preview(&namespace, "fresh", &Value::Null)).unwrap();
    cluster().apply(&preview(&namespace, "a", &app())).unwrap();
    let denied = patch("blind", &namespace, r#"{"spec":{"image":"evil"}}"#).unwrap_err();
    assert!(denied.contains(NO_TARGET), "{denied}");

    let named = ("apps", "deployments", &["get"][..], &["app"][..]);
    grant(&namespace, "named", &[PREVIEWS, PODS, named]);
    create("named", &preview(&namespace, "b", &app())).unwrap();
    let other = json!({ "kind": "Deployment", "name": "other" });
    let denied = create("named", &preview(&namespace, "c", &other)).unwrap_err();
    assert!(denied.contains(NO_TARGET) && denied.contains("Deployment other"), "{denied}");
}

#[test]
fn each_kind_of_target_is_asked_for_by_its_own_group() {
    let namespace = cluster().namespace("kinds").unwrap();
    let kinds = [
        ("Deployment", "apps", "deployments"),
        ("StatefulSet", "apps", "statefulsets"),
        ("DaemonSet", "apps", "daemonsets"),
        ("ReplicaSet", "apps", "replicasets"),
        ("Pod", "", "pods"),
        ("Rollout", "argoproj.io", "rollouts"),
    ];
    for (kind, group, resource) in kinds {
        let user = format!("reads-{resource}");
        grant(&namespace, &user, &[PREVIEWS, PODS, (group, resource, &["get"], &[])]);
        for (other, ..) in kinds {
            let name = format!("{user}-{}", other.to_lowercase());
            let made = create(&user, &preview(&namespace, &name, &json!({ "kind": other, "name": "app" })));
            assert_eq!(made.is_ok(), other == kind, "{user} makes a preview of a {other}: {made:?}");
        }
    }
}

#[test]
fn the_controller_and_the_garbage_collector_are_not_in_the_way_of_it() {
    let namespace = cluster().namespace("machinery").unwrap();
    let mut object: Value = serde_json::from_str(&preview(&namespace, "a", &app())).unwrap();
    apply(Who::Admin, "", &object).unwrap();
    let controller = cluster().kubeconfig_for(NAMESPACE, "byway-controller", None).unwrap();
    object["status"] = json!({ "key": "pr-1", "phase": "Pending" });
    apply(Who::Bearer(&controller), "status", &object).unwrap();
    // It may not touch what was asked for.
    let denied = apply(Who::Bearer(&controller), "", &object).unwrap_err();
    assert!(denied.contains("cannot patch resource \"previews\""), "{denied}");

    // The garbage collector takes its finalizer away, and may create no pods.
    let delete = ["delete", "preview", "a", "-n", &namespace, "--cascade=foreground", "--timeout=60s"];
    ask(Who::Admin, &delete, "").unwrap();
}
