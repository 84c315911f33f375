use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proptest::prelude::*;

use super::{Selecting, inescapable, kept, own};
use crate::clone::testing::{key, yaml};
use crate::selectors::{Labels, matches, required};

fn labels(template: &str, selectors: &[&str]) -> Vec<String> {
    let selecting: Vec<Selecting> =
        selectors.iter().map(|text| Selecting::new((*text).to_owned(), yaml(text))).collect();
    kept(&yaml(template), &own("redesign", &key()), &selecting).into_keys().collect()
}

#[test]
fn what_selects_the_target_is_left_out_and_the_rest_stays() {
    let template = "{app.kubernetes.io/name: web, app.kubernetes.io/instance: shop, app.kubernetes.io/version: '1', \
                    app.kubernetes.io/managed-by: Helm, azure.workload.identity/use: 'true', sidecar.istio.io/inject: 'true'}";
    let helm = "{matchLabels: {app.kubernetes.io/name: web, app.kubernetes.io/instance: shop}}";
    let elsewhere = "{matchLabels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/name: db}}";
    assert_eq!(
        labels(template, &[helm, elsewhere]),
        [
            "app.kubernetes.io/managed-by",
            "app.kubernetes.io/version",
            "azure.workload.identity/use",
            "sidecar.istio.io/inject"
        ]
    );
}

#[test]
fn hashes_and_marks_of_tools_are_left_out() {
    let template = "{tier: web, pod-template-hash: 5d4f, controller-revision-hash: web-1, rollouts-pod-template-hash: 7a, \
                    statefulset.kubernetes.io/pod-name: db-0, apps.kubernetes.io/pod-index: '0', kapp.k14s.io/app: '1', \
                    kustomize.toolkit.fluxcd.io/name: apps, argocd.argoproj.io/instance: shop, \
                    app.kubernetes.io/instance: shop, byway.dev/key: other}";
    assert_eq!(labels(template, &[]), ["app.kubernetes.io/instance", "tier"]);
}

#[test]
fn dropping_one_label_does_not_make_another_selector_match() {
    // Without `canary`, the second one would select the clone.
    let template = "{app: web, canary: 'true', tier: front}";
    let first = "{matchLabels: {canary: 'true'}}";
    let second = "{matchLabels: {app: web}, matchExpressions: [{key: canary, operator: DoesNotExist}]}";
    assert_eq!(labels(template, &[first, second]), ["tier"]);
}

#[test]
fn who_speaks_of_previews_is_heard() {
    let template = "{app: web, tier: front}";
    let excludes =
        "{matchLabels: {app: web}, matchExpressions: [{key: byway.dev/preview, operator: DoesNotExist}]}";
    let means =
        "{matchLabels: {tier: front}, matchExpressions: [{key: byway.dev/preview, operator: Exists}]}";
    assert_eq!(labels(template, &[excludes, means]), ["app", "tier"]);
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
    let labels: Labels = kept(&template, &own, &selecting).into_iter().chain(own).collect();
    let warning = inescapable(&labels, &selecting).unwrap();
    assert_eq!(warning.reason, "StillSelected");
    assert!(
        warning.message.contains("by PodDisruptionBudget {}, PodDisruptionBudget {matchEx"),
        "{}",
        warning.message
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
        let kept = kept(&template, &own, &selecting);
        let clone: Labels = kept.clone().into_iter().chain(own).collect();
        for selector in &selectors {
            prop_assert!(!matches(selector, &clone) || required(selector).next().is_none());
        }
        // Nothing is made up, and nothing is left out that nobody asks for.
        for (key, value) in &template {
            match kept.get(key) {
                Some(other) => prop_assert_eq!(value, other),
                None => prop_assert!(selectors.iter().any(|s| required(s).any(|other| other == key))),
            }
        }
        prop_assert!(kept.keys().all(|key| template.contains_key(key)));
    }
}
