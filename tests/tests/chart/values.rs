//! What may be said in values: what is misspelt or makes no sense is refused, in words.

use crate::helm::{CHART, offline, template, value_files};

#[test]
fn helm_finds_no_fault() {
    offline(&["lint", "--strict", CHART]).unwrap();
    for file in value_files() {
        offline(&["lint", "--strict", CHART, "-f", file.to_str().unwrap()]).unwrap();
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_a_reason() {
    let cases = [
        ("agnet.log=debug", "additional properties 'agnet' not allowed"),
        ("agent.drainDeadlin=5", "at '/agent': additional properties 'drainDeadlin' not allowed"),
        ("controller.replicas=two", "at '/controller/replicas': got string, want integer"),
        ("controller.args={lease=30}", "at '/controller/args/0'"),
        ("agent.maxSurge=0", "at '/agent/maxSurge'"),
        ("agent.mode=fast", "at '/agent/mode': value must be one of 'proxy', 'auto', 'direct'"),
        ("agent.drainDeadline=-1", "at '/agent/drainDeadline': minimum"),
        ("agent.appArmorProfile.type=Off", "at '/agent/appArmorProfile/type'"),
        ("image.pullPolicy=Sometimes", "at '/image/pullPolicy'"),
        ("previews.namespaceSelector.matchExpressions[0].operator=Is", "operator"),
        ("uninstall.timeout=1", "at '/uninstall/timeout': minimum: got 1, want 10"),
        (
            "image.registry=https://registry.example",
            "image.registry is https://registry.example: leave out the scheme",
        ),
        ("policies.images={nginx}", "policies.images: nginx names no registry"),
        ("policies.images={registry.example/*/app}", "registry.example/*/app has a * that is not its end"),
        ("policies.namespaces.a.images={b*}", "policies.namespaces.a.images: b* names no registry"),
        ("policies.maxTtl=never", "policies.maxTtl is never: name a duration"),
        ("policies.namespaces.a.maxTtl=1d", "policies.namespaces.a.maxTtl is 1d: name a duration"),
        ("policies.maxTtl=59s", "policies.maxTtl is 59s, less than 60s"),
        ("policies.namespaces.a.maxTtl=0h", "policies.namespaces.a.maxTtl is 0h, less than 60s"),
        ("policies.namespaces.a.max=1", "additional properties 'max' not allowed"),
        ("ci.namespaces={a}", "ci.subjects is empty"),
        ("ci.subjects[0].name=a", "missing property 'kind'"),
        (
            "ci.subjects[0].kind=ServiceAccount,ci.subjects[0].name=a",
            "ci.subjects: the ServiceAccount a needs its namespace",
        ),
    ];
    for (setting, wanted) in cases {
        let said = template(&["--set", setting]).expect_err(setting);
        assert!(said.contains(wanted), "{setting}: {said}");
    }
}

#[test]
fn a_limit_may_be_as_short_as_the_shortest_ttl() {
    for ttl in ["60s", "1m", "0h59m60s", "8760h"] {
        template(&["--set", &format!("policies.maxTtl={ttl},policies.namespaces.a.maxTtl={ttl}")]).unwrap();
    }
}

#[test]
fn nothing_that_is_not_known_may_be_said_anywhere() {
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{CHART}/values.schema.json")).unwrap())
            .unwrap();
    let mut nodes = vec![&schema];
    while let Some(node) = nodes.pop() {
        let open = node["properties"].is_object() && node["additionalProperties"] != false;
        assert!(!open, "anything may be said here: {node}");
        nodes.extend(node["properties"].as_object().into_iter().flat_map(|map| map.values()));
        let below = [&node["items"], &node["additionalProperties"]];
        nodes.extend(below.into_iter().filter(|it| it.is_object()));
    }
}
