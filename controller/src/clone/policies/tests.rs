use crate::clone::testing::{key, plain, preview, yaml};
use crate::clone::{PolicyRow, Surroundings, of_target};

/// Reasons and messages for the clone of a plain target under these policies.
fn warnings(policies: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let mut source = plain("{containers: [{name: app, ports: [{containerPort: 8080, name: http}]}]}");
    source.meta.labels.as_mut().unwrap().insert("tier".to_owned(), "web".to_owned());
    let rows: Vec<_> = policies
        .iter()
        .map(|(name, spec)| PolicyRow { name: (*name).to_owned(), spec: yaml(spec) })
        .collect();
    let around = Surroundings { network_policies: &rows, ..Surroundings::default() };
    let children = of_target(&preview("{}"), &key(), &source, &around).unwrap();
    children.warnings.into_iter().map(|w| (w.reason, w.message)).collect()
}

#[test]
fn policies_that_no_longer_hold_are_named() {
    let found = warnings(&[
        ("db", "{podSelector: {matchLabels: {app: my-app}}, policyTypes: [Egress]}"),
        ("tier", "{podSelector: {matchLabels: {tier: web}}, policyTypes: [Egress]}"),
        ("all", "{podSelector: {}, policyTypes: [Egress]}"),
        ("other", "{podSelector: {matchLabels: {app: other}}}"),
        ("web", "{podSelector: {matchLabels: {app: my-app}}, ingress: [{}]}"),
    ]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "NetworkPolicyLost");
    assert!(
        found[0].1.starts_with("the NetworkPolicies db, web select the target but not the preview"),
        "{found:?}"
    );
}

#[test]
fn a_policy_that_surely_keeps_agents_out_is_named() {
    let deny = ("deny", "{podSelector: {}, policyTypes: [Ingress]}");
    assert_eq!(warnings(&[deny])[0].0, "AgentsShutOut");
    for (ingress, shut) in [
        ("[{from: [{podSelector: {}}]}]", true),
        ("[{from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 8080}]}]", true),
        ("[{ports: [{port: 9090}]}]", true),
        ("[{ports: [{port: 8080, protocol: UDP}]}]", true),
        ("[{ports: [{port: grpc}]}]", true),
        ("[]", true),
        ("[{}]", false),
        ("[{ports: [{port: http}]}]", false),
        ("[{ports: [{port: 8000, endPort: 9000}]}]", false),
        ("[{ports: [{protocol: TCP}]}]", false),
        (
            "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: byway-system}}}]}]",
            false,
        ),
        ("[{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]", false),
    ] {
        let allow = format!("{{podSelector: {{matchLabels: {{tier: web}}}}, ingress: {ingress}}}");
        let found = warnings(&[deny, ("allow", &allow)]);
        assert_eq!(found.iter().any(|w| w.0 == "AgentsShutOut"), shut, "{ingress}: {found:?}");
    }
}

#[test]
fn a_policy_for_the_target_alone_lets_nobody_in_to_the_clone() {
    let found = warnings(&[
        ("deny", "{podSelector: {}, policyTypes: [Ingress]}"),
        ("allow", "{podSelector: {matchLabels: {app: my-app}}, ingress: [{}]}"),
    ]);
    let reasons: Vec<_> = found.iter().map(|w| w.0).collect();
    assert_eq!(reasons, ["NetworkPolicyLost", "AgentsShutOut"]);
    assert_eq!(
        found[1].1,
        "the NetworkPolicies deny let nothing from other namespaces in to port 8080 of the preview: \
         allow Byway's namespace, where its agents run"
    );
}
