use k8s_openapi::api::core::v1::{EnvVar, PodSpec};
use proptest::prelude::*;
use serde_json::json;

use super::{merge, merged_env, with_reference_renamed};
use crate::clone::testing::yaml;

fn env(text: &str) -> Vec<(String, Option<String>)> {
    let merged = merged_env(yaml(text));
    merged.into_iter().map(|var| (var.name, var.value)).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

#[test]
fn the_last_variable_of_a_name_wins() {
    let text = "[{name: A, value: '1'}, {name: B, value: b}, {name: A, value: '2'}]";
    assert_eq!(env(text), pairs(&[("B", "b"), ("A", "2")]));
}

#[test]
fn what_refers_to_an_earlier_one_keeps_its_meaning() {
    let path =
        "[{name: PATH, value: /bin}, {name: PATH, value: '$(PATH):/app'}, {name: PATH, value: '$(PATH):/x'}]";
    assert_eq!(
        env(path),
        pairs(&[
            ("BYWAY_PATH_1", "/bin"),
            ("BYWAY_PATH_2", "$(BYWAY_PATH_1):/app"),
            ("PATH", "$(BYWAY_PATH_2):/x")
        ])
    );
    let between = "[{name: A, value: '1'}, {name: B, value: 'is $(A), not $$(A)'}, {name: A, value: '2'}, {name: C, value: $(A)}]";
    assert_eq!(
        env(between),
        pairs(&[("BYWAY_A_1", "1"), ("B", "is $(BYWAY_A_1), not $$(A)"), ("A", "2"), ("C", "$(A)")])
    );
}

#[test]
fn references_are_read_as_kubernetes_reads_them() {
    for (text, expected) in [
        ("$(A)", "$(Z)"),
        ("$$(A)", "$$(A)"),
        ("$$$(A)", "$$$(Z)"),
        ("$(B) $ (A) $(A", "$(B) $ (A) $(A"),
        ("x$(A)$(A)y", "x$(Z)$(Z)y"),
    ] {
        assert_eq!(with_reference_renamed(text, "A", "Z"), expected, "{text}");
    }
}

#[test]
fn ports_secrets_and_aliases_are_merged() {
    let mut spec: PodSpec = yaml(
        "
        imagePullSecrets: [{name: a}, {name: b}, {name: a}]
        hostAliases: [{ip: 10.0.0.1, hostnames: [a]}, {ip: 10.0.0.2, hostnames: [b]}, {ip: 10.0.0.1, hostnames: [c]}]
        containers:
        - name: app
          ports:
          - {containerPort: 80}
          - {containerPort: 80, name: http, protocol: TCP}
          - {containerPort: 80, name: web}
          - {containerPort: 80, name: quic, protocol: UDP}
          readinessProbe: {httpGet: {port: web}}
          livenessProbe: {tcpSocket: {port: http}}
          lifecycle: {preStop: {httpGet: {port: web}}}
        ",
    );
    merge(&mut spec);
    assert_eq!(
        serde_json::to_value(&spec).unwrap(),
        json!({
            "imagePullSecrets": [{ "name": "a" }, { "name": "b" }],
            "hostAliases": [{ "ip": "10.0.0.1", "hostnames": ["a", "c"] }, { "ip": "10.0.0.2", "hostnames": ["b"] }],
            "containers": [{
                "name": "app",
                "ports": [
                    { "containerPort": 80, "name": "http" },
                    { "containerPort": 80, "name": "quic", "protocol": "UDP" },
                ],
                "readinessProbe": { "httpGet": { "port": 80 } },
                "livenessProbe": { "tcpSocket": { "port": "http" } },
                "lifecycle": { "preStop": { "httpGet": { "port": 80 } } },
            }],
        })
    );
}

/// What the kubelet makes of an environment: in order, each value with the references to those before it.
fn as_kubelet(env: &[EnvVar]) -> std::collections::BTreeMap<String, String> {
    let mut all = std::collections::BTreeMap::new();
    for var in env {
        let text = var.value.clone().unwrap_or_default();
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let reference = rest.strip_prefix("$(").and_then(|r| r.split_once(')'));
            if let Some(after) = rest.strip_prefix("$$") {
                out.push('$');
                rest = after;
            } else if let Some((name, after)) = reference {
                out.push_str(all.get(name).map_or(&format!("$({name})"), |value: &String| value));
                rest = after;
            } else {
                out.push('$');
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        all.insert(var.name.clone(), out);
    }
    all
}

proptest! {
    #[test]
    fn an_environment_is_the_same_without_duplicates(
        env in prop::collection::vec(("[A-C]", r"([xy]|\$\([A-C]\)|\$){0,4}"), 0..8)
    ) {
        let env: Vec<EnvVar> =
            env.into_iter().map(|(name, value)| EnvVar { name, value: Some(value), value_from: None }).collect();
        let merged = merged_env(env.clone());
        let mut names: Vec<_> = merged.iter().map(|var| &var.name).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), merged.len());
        let mut seen = as_kubelet(&merged);
        seen.retain(|name, _| !name.starts_with("BYWAY_"));
        prop_assert_eq!(seen, as_kubelet(&env));
    }
}
