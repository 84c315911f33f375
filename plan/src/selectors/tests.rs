use super::{Labels, matches, may_match, required};

fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_yaml_ng::from_str(text).unwrap()
}

fn labels(text: &str) -> Labels {
    yaml(text)
}

#[test]
fn every_operator_means_what_kubernetes_says() {
    let pod = labels("{app: web, tier: front}");
    for (selector, expected) in [
        ("{}", true),
        ("{matchLabels: {app: web}}", true),
        ("{matchLabels: {app: web, tier: back}}", false),
        ("{matchExpressions: [{key: app, operator: In, values: [api, web]}]}", true),
        ("{matchExpressions: [{key: none, operator: In, values: [web]}]}", false),
        ("{matchExpressions: [{key: app, operator: NotIn, values: [web]}]}", false),
        ("{matchExpressions: [{key: none, operator: NotIn, values: [web]}]}", true),
        ("{matchExpressions: [{key: app, operator: Exists}]}", true),
        ("{matchExpressions: [{key: none, operator: Exists}]}", false),
        ("{matchExpressions: [{key: none, operator: DoesNotExist}]}", true),
        ("{matchExpressions: [{key: app, operator: DoesNotExist}]}", false),
        ("{matchExpressions: [{key: app, operator: Like, values: [web]}]}", false),
        ("{matchLabels: {app: web}, matchExpressions: [{key: tier, operator: DoesNotExist}]}", false),
    ] {
        assert_eq!(matches(&yaml(selector), &pod), expected, "{selector}");
    }
}

#[test]
fn what_controllers_add_to_pods_is_in_no_template() {
    let template = labels("{app: web}");
    // As Argo Rollouts writes into the Services of a Rollout.
    let stable = yaml("{matchLabels: {app: web, rollouts-pod-template-hash: 5d4f}}");
    assert!(may_match(&stable, &template) && !matches(&stable, &template));
    // As of a Service for one pod of some StatefulSet, perhaps another one.
    let one_pod = yaml("{matchLabels: {statefulset.kubernetes.io/pod-name: db-0}}");
    assert!(!may_match(&one_pod, &template));
    assert!(may_match(&one_pod, &labels("{statefulset.kubernetes.io/pod-name: db-0}")));
}

#[test]
fn only_what_must_be_there_is_required() {
    let selector = yaml(
        "{matchLabels: {a: '1'}, matchExpressions: [{key: b, operator: In, values: [x]}, {key: c, operator: Exists}, \
         {key: d, operator: NotIn, values: [x]}, {key: e, operator: DoesNotExist}]}",
    );
    assert_eq!(required(&selector).collect::<Vec<_>>(), ["a", "b", "c"]);
}
