use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proptest::prelude::*;

use super::{Selecting, Wished, escaping, inescapable, of_workload, own, turned, turned_in_vain};
use crate::clone::testing::{key, yaml};
use crate::selectors::{Labels, matches, required};

/// The name that is the preview's alone.
const OWN: &str = "byway-redesign-1";

fn selecting(selectors: &[&str]) -> Vec<Selecting> {
    selectors.iter().map(|text| Selecting::new((*text).to_owned(), yaml(text))).collect()
}

fn labels(template: &str, selectors: &[&str]) -> Labels {
    turned(&yaml(template), &Wished::default(), &own("redesign", &key()), &selecting(selectors), OWN)
}

#[test]
fn what_selects_the_target_finds_another_value_and_the_rest_stays() {
    let template = "{app.kubernetes.io/name: web, app.kubernetes.io/instance: shop, app.kubernetes.io/version: '1', \
                    app.kubernetes.io/managed-by: Helm, azure.workload.identity/use: 'true', sidecar.istio.io/inject: 'true'}";
    let helm = "{matchLabels: {app.kubernetes.io/name: web, app.kubernetes.io/instance: shop}}";
    let elsewhere = "{matchLabels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/name: db}}";
    let wanted: Labels = yaml(
        "{app.kubernetes.io/name: byway-redesign-1, app.kubernetes.io/instance: byway-redesign-1, app.kubernetes.io/version: '1', \
          app.kubernetes.io/managed-by: Helm, azure.workload.identity/use: 'true', sidecar.istio.io/inject: 'true'}",
    );
    assert_eq!(labels(template, &[helm, elsewhere]), wanted);
    assert_eq!(labels(template, &[helm, helm, elsewhere]), wanted, "two of one selector");
}

#[test]
fn what_is_wished_for_stays_goes_or_is_set_unless_somebody_selects_by_it() {
    let template = "{app: web, tier: front, team: a, argocd.argoproj.io/instance: shop}";
    let wished: Wished = serde_json::from_value(serde_json::json!({
        "keep": ["argocd.*", "app"], "drop": ["te?m"], "set": { "tier": "back", "owner": "me" }
    }))
    .unwrap();
    let turned = |selectors: &[&str]| {
        turned(&yaml(template), &wished, &own("redesign", &key()), &selecting(selectors), OWN)
    };
    let service = "{matchLabels: {app: web}}";
    let wanted: Labels =
        yaml("{app: byway-redesign-1, tier: back, owner: me, argocd.argoproj.io/instance: shop}");
    assert_eq!(turned(&[service]), wanted);
    assert_eq!(turned_in_vain(&wished, &wanted), None);
    let of_target = "{matchLabels: {tier: front}}";
    assert_eq!(turned(&[service, of_target]), wanted, "by what is set nobody selects");
    let of_clone = turned(&[service, "{matchLabels: {tier: back}}"]);
    assert_eq!(of_clone["tier"], OWN);
    let warning = turned_in_vain(&wished, &of_clone).unwrap();
    assert!(
        warning.reason == "LabelsTurned" && warning.message.contains("labels.set, tier have"),
        "{warning:?}"
    );
    let workload = of_workload(&yaml("{team: a, app: web}"), &yaml(template), &wished, &wanted);
    assert_eq!(workload, yaml("{app: byway-redesign-1, tier: back, owner: me}"));
}

#[test]
fn where_any_value_is_selected_the_label_is_left_out() {
    let template = "{app: web, tier: front}";
    assert_eq!(
        labels(template, &["{matchExpressions: [{key: app, operator: Exists}]}"]),
        yaml("{tier: front}")
    );
    // Somebody has taken just this name.
    let taken = format!("{{matchLabels: {{app: {OWN}}}}}");
    assert_eq!(labels(template, &["{matchLabels: {app: web}}", &taken]), yaml("{tier: front}"));
}

#[test]
fn hashes_and_marks_of_tools_are_left_out() {
    let template = "{tier: web, pod-template-hash: 5d4f, controller-revision-hash: web-1, rollouts-pod-template-hash: 7a, \
                    statefulset.kubernetes.io/pod-name: db-0, apps.kubernetes.io/pod-index: '0', kapp.k14s.io/app: '1', \
                    kustomize.toolkit.fluxcd.io/name: apps, argocd.argoproj.io/instance: shop, \
                    serving.knative.dev/revision: shop-1, dapr.io/app-id: shop, olm.owner: shop, \
                    app.kubernetes.io/instance: shop, byway.dev/key: other}";
    assert_eq!(labels(template, &[]), yaml("{app.kubernetes.io/instance: shop, tier: web}"));
}

#[test]
fn changing_one_label_does_not_make_another_selector_match() {
    let template = "{app: web, canary: 'true', tier: front}";
    let first = "{matchLabels: {canary: 'true'}}";
    let second = "{matchLabels: {app: web}, matchExpressions: [{key: canary, operator: DoesNotExist}]}";
    let turned = labels(template, &[first, second]);
    assert_eq!(turned, yaml("{app: web, canary: byway-redesign-1, tier: front}"));
    // Where the label has to go altogether, the second one selects, and finds another value, too.
    let any = "{matchExpressions: [{key: canary, operator: Exists}]}";
    assert_eq!(labels(template, &[any, second]), yaml("{app: byway-redesign-1, tier: front}"));
}

#[test]
fn who_speaks_of_previews_is_heard() {
    let template = "{app: web, tier: front}";
    let excludes =
        "{matchLabels: {app: web}, matchExpressions: [{key: byway.dev/preview, operator: DoesNotExist}]}";
    let means =
        "{matchLabels: {tier: front}, matchExpressions: [{key: byway.dev/preview, operator: Exists}]}";
    assert_eq!(labels(template, &[excludes, means]), yaml(template));
    let selecting = [Selecting::new("PodDisruptionBudget previews".to_owned(), yaml(means))];
    let all: Labels = yaml("{tier: front, byway.dev/preview: redesign}");
    assert_eq!(inescapable(&all, &selecting), None);
}

#[test]
fn who_selects_everything_is_named() {
    let selecting =
        ["{}", "{matchExpressions: [{key: tier, operator: NotIn, values: [db]}]}", "{matchLabels: {a: b}}"]
            .map(|text| Selecting::new(format!("PodDisruptionBudget {text}"), yaml(text)));
    let template: Labels = yaml("{tier: front}");
    let own = own("redesign", &key());
    let labels: Labels =
        turned(&template, &Wished::default(), &own, &selecting, OWN).into_iter().chain(own).collect();
    let warning = inescapable(&labels, &selecting).unwrap();
    assert_eq!(warning.reason, "StillSelected");
    assert!(
        warning.message.contains("by PodDisruptionBudget {}, PodDisruptionBudget {matchEx"),
        "{}",
        warning.message
    );
}

#[test]
fn a_pod_that_runs_loses_only_what_it_is_selected_by() {
    let pod: Labels = yaml(
        "{app: byway-redesign-1, tier: front, team: shop, pod-template-hash: 5d4f, byway.dev/preview: redesign, byway.dev/key: key-1}",
    );
    let changes = |selectors: &[&str]| escaping(&pod, &selecting(selectors), OWN);
    let service = "{matchLabels: {tier: front}}";
    let none = BTreeMap::new();
    assert_eq!(changes(&["{matchLabels: {app: web}}", "{matchLabels: {tier: back}}"]), none);
    assert_eq!(changes(&[service]), BTreeMap::from([("tier".to_owned(), Some(OWN.to_owned()))]));
    assert_eq!(
        changes(&[service, "{matchExpressions: [{key: team, operator: Exists}]}"]),
        BTreeMap::from([("team".to_owned(), None), ("tier".to_owned(), Some(OWN.to_owned()))])
    );
    // Nothing helps against these, and a pod must not lose what its ReplicaSet knows it by.
    let unable =
        ["{}", "{matchLabels: {pod-template-hash: 5d4f}}", "{matchLabels: {byway.dev/preview: redesign}}"];
    assert_eq!(changes(&unable), none);
}

#[test]
fn a_deployment_has_its_targets_labels_as_its_pods_have_them() {
    let template = yaml("{app: web, tier: front}");
    let turned = yaml("{app: byway-redesign-1, tier: front}");
    let workload = "{app: web, team: shop, argocd.argoproj.io/instance: shop, keel.sh/policy: all, olm.owner: x, byway.dev/x: y}";
    assert_eq!(
        of_workload(&yaml(workload), &template, &Wished::default(), &turned),
        yaml("{app: byway-redesign-1, team: shop}")
    );
}

fn selector() -> impl Strategy<Value = LabelSelector> {
    let operator = prop::sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
    let requirement =
        ("[a-e]", operator, prop::collection::vec("[xyz]", 1..3)).prop_map(|(key, operator, values)| {
            let values = matches!(operator, "In" | "NotIn").then_some(values);
            LabelSelectorRequirement { key, operator: operator.to_owned(), values }
        });
    let labels = prop::collection::btree_map("[a-e]", "[xyz]", 0..3);
    (labels, prop::collection::vec(requirement, 0..3))
        .prop_map(|(labels, all)| LabelSelector { match_labels: Some(labels), match_expressions: Some(all) })
}

proptest! {
    #[test]
    fn no_selector_that_asks_for_a_label_selects_a_clone(
        template in prop::collection::btree_map("[a-e]", "[xyz]", 0..6),
        selectors in prop::collection::vec(selector(), 0..6),
    ) {
        let selecting: Vec<_> = selectors.iter().map(|s| Selecting::new(String::new(), s.clone())).collect();
        let own = own("redesign", &key());
        let turned = turned(&template, &Wished::default(), &own, &selecting, OWN);
        let clone: Labels = turned.clone().into_iter().chain(own).collect();
        for selector in &selectors {
            prop_assert!(!matches(selector, &clone) || required(selector).next().is_none());
        }
        // Nothing is made up, and nothing is changed or left out that nobody asks for.
        for (key, value) in &template {
            let is_asked_for = selectors.iter().any(|s| required(s).any(|other| other == key));
            match turned.get(key) {
                Some(other) => prop_assert!(value == other || (other == OWN && is_asked_for)),
                None => prop_assert!(is_asked_for),
            }
        }
        prop_assert!(turned.keys().all(|key| template.contains_key(key)));
        // And so it is with a pod that was made before any of them.
        let changes = escaping(&clone_of(&template), &selecting, OWN);
        let mut pod = clone_of(&template);
        for (key, value) in changes {
            match value {
                Some(value) => drop(pod.insert(key, value)),
                None => drop(pod.remove(&key)),
            }
        }
        for selector in &selectors {
            prop_assert!(!matches(selector, &pod) || required(selector).next().is_none());
        }
    }
}

/// The labels of a preview's pod, with nobody who selects.
fn clone_of(template: &Labels) -> Labels {
    let own = own("redesign", &key());
    turned(template, &Wished::default(), &own, &[], OWN).into_iter().chain(own).collect()
}
