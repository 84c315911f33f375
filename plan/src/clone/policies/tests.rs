use k8s_openapi::api::networking::v1::NetworkPolicySpec;

use crate::clone::testing::{key, plain, preview, yaml};
use crate::clone::{Children, Surroundings, of_target};
use crate::rows::PolicyRow;

/// The clone of a plain target under these policies.
fn children(policies: &[(&str, &str)]) -> Children {
    let mut source = plain("{containers: [{name: app, ports: [{containerPort: 8080, name: http}]}]}");
    source.meta.labels.as_mut().unwrap().insert("tier".to_owned(), "web".to_owned());
    let rows: Vec<_> = policies
        .iter()
        .map(|(name, spec)| PolicyRow { name: (*name).to_owned(), spec: yaml(spec) })
        .collect();
    let around =
        Surroundings { network_policies: &rows, agents_namespace: "byway-system", ..Surroundings::default() };
    of_target(&preview("{}"), &key(), &source, &around).unwrap()
}

fn warnings(policies: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    children(policies).warnings.into_iter().map(|w| (w.reason, w.message)).collect()
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
fn agents_are_let_in_where_policies_may_shut_them_out() {
    let deny = ("deny", "{podSelector: {}, policyTypes: [Ingress]}");
    assert_eq!(warnings(&[deny])[0].0, "AgentsLetIn");
    for (ingress, shut) in [
        ("[{from: [{podSelector: {}}]}]", true),
        ("[{from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 8080}]}]", true),
        ("[{ports: [{port: 9090}]}]", true),
        ("[{ports: [{port: 8080, protocol: UDP}]}]", true),
        ("[{ports: [{port: grpc}]}]", true),
        ("[]", true),
        ("[{from: [{namespaceSelector: {matchLabels: {team: gateway}}}]}]", true),
        ("[{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]", true),
        ("[{}]", false),
        ("[{ports: [{port: http}]}]", false),
        ("[{ports: [{port: 8000, endPort: 9000}]}]", false),
        ("[{ports: [{protocol: TCP}]}]", false),
    ] {
        let allow = format!("{{podSelector: {{matchLabels: {{tier: web}}}}, ingress: {ingress}}}");
        let children = children(&[deny, ("allow", &allow)]);
        let warned = children.warnings.iter().any(|w| w.reason == "AgentsLetIn");
        assert_eq!((warned, children.network_policy.is_some()), (shut, shut), "{ingress}");
    }
}

#[test]
fn where_nothing_isolates_a_clone_no_policy_is_added() {
    for policies in [
        &[][..],
        &[("egress", "{podSelector: {}, policyTypes: [Egress]}")],
        &[("other", "{podSelector: {matchLabels: {app: other}}, policyTypes: [Ingress]}")],
        // That of the target alone does not hold for the clone.
        &[("target", "{podSelector: {matchLabels: {app: my-app}}, policyTypes: [Ingress]}")],
    ] {
        assert_eq!(children(policies).network_policy, None, "{policies:?}");
    }
}

#[test]
fn the_policy_of_a_preview_names_the_agents_and_the_ports_that_are_shut() {
    let children = children(&[("deny", "{podSelector: {}, ingress: [{ports: [{port: 9090}]}]}")]);
    let policy = children.network_policy.unwrap();
    assert_eq!(policy.metadata.name, children.deployment.metadata.name);
    assert_eq!(policy.metadata.owner_references, children.deployment.metadata.owner_references);
    let wanted: NetworkPolicySpec = yaml(
        "{podSelector: {matchLabels: {byway.dev/preview: redesign}}, policyTypes: [Ingress], ingress: [{
           from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: byway-system}},
                   podSelector: {matchLabels: {app.kubernetes.io/component: byway-agent}}}],
           ports: [{port: 8080, protocol: TCP}]}]}",
    );
    assert_eq!(policy.spec.unwrap(), wanted);
    assert_eq!(
        children.warnings[0].message,
        "the NetworkPolicies deny hold for the preview, too: a policy of its own lets Byway's agents in to port 8080, \
         and nobody else"
    );
}
