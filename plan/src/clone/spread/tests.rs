use serde_json::json;

use crate::clone::testing::{alone, key, own_name, plain, pods, preview, row};
use crate::clone::{Surroundings, of_target};

#[test]
fn the_targets_own_spread_becomes_the_previews() {
    let source = plain(
        "
        topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, matchLabelKeys: [pod-template-hash], labelSelector: {matchLabels: {app: my-app}}}
        - {maxSkew: 1, topologyKey: host, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: cache}}}
        affinity:
          podAntiAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchExpressions: [{key: app, operator: In, values: [my-app]}]}}
            preferredDuringSchedulingIgnoredDuringExecution:
            - {weight: 1, podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {app: my-app}}}}
            - {weight: 2, podAffinityTerm: {topologyKey: zone, namespaces: [other], labelSelector: {matchLabels: {app: my-app}}}}
            - {weight: 3, podAffinityTerm: {topologyKey: zone, namespaceSelector: {}, labelSelector: {matchLabels: {app: my-app}}}}
          podAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: zone, labelSelector: {matchLabels: {app: cache}}}
            - {topologyKey: zone, mismatchLabelKeys: [app], labelSelector: {matchExpressions: [{key: app, operator: Exists}]}}
        ",
    );
    let (spec, _) = pods(&alone("{}", &source).unwrap());
    let own = json!({ "matchLabels": { "byway.dev/preview": "redesign" } });
    let at = |path: &str| spec.pointer(path).unwrap_or_else(|| panic!("{path} in {spec}")).clone();
    assert_eq!(at("/topologySpreadConstraints/0/labelSelector"), own);
    assert_eq!(at("/topologySpreadConstraints/0/matchLabelKeys"), json!(["pod-template-hash"]));
    assert_eq!(
        at("/topologySpreadConstraints/1/labelSelector"),
        json!({ "matchLabels": { "app": "cache" } })
    );
    let apart = "/affinity/podAntiAffinity";
    let preferred = |n: usize| {
        at(&format!(
            "{apart}/preferredDuringSchedulingIgnoredDuringExecution/{n}/podAffinityTerm/labelSelector"
        ))
    };
    assert_eq!(at(&format!("{apart}/requiredDuringSchedulingIgnoredDuringExecution/0/labelSelector")), own);
    assert_eq!(preferred(0), own);
    assert_eq!(preferred(1), json!({ "matchLabels": { "app": "my-app" } }), "pods of another namespace");
    assert_eq!(preferred(2), own);
    let together = "/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    assert_eq!(at(&format!("{together}/0/labelSelector")), json!({ "matchLabels": { "app": "cache" } }));
    let others = json!({ "matchExpressions": [{ "key": "app", "operator": "Exists" }] });
    assert_eq!(at(&format!("{together}/1/labelSelector")), others, "pods of all others");
}

#[test]
fn the_targets_pods_do_not_keep_away_from_a_clone() {
    // The target's replicas look for `component`, which nothing else selects by: with it, the clone would be in their way.
    let mut source = plain(
        "{affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
         [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {component: web}}}]}}}",
    );
    source.meta.labels.as_mut().unwrap().insert("component".to_owned(), "web".to_owned());
    source.meta.labels.as_mut().unwrap().insert("team".to_owned(), "shop".to_owned());
    let rows = [row("PodDisruptionBudget", "all", "{matchLabels: {app: my-app}}")];
    let around = Surroundings { selectors: &rows, ..Surroundings::default() };
    let (_, meta) = pods(&of_target(&preview("{}"), &key(), &source, &around).unwrap());
    assert_eq!(
        meta["labels"],
        json!({
            "app": own_name(), "byway.dev/key": "key-1", "byway.dev/preview": "redesign", "component": own_name(), "team": "shop",
        })
    );
}
