use std::collections::BTreeMap;

use super::exclude;
use crate::clone::testing::{alone, key, plain, pods, preview, reasons, said, service, yaml};
use crate::clone::{Children, Surroundings, of_target};
use crate::rows::ServiceRow;

fn excluded(before: &str, ports: &[u16]) -> Vec<String> {
    let mut annotations: BTreeMap<String, String> = yaml(before);
    exclude(&mut annotations, ports);
    annotations
        .into_iter()
        .map(|(name, value)| format!("{} {value}", name.rsplit('/').next().unwrap()))
        .collect()
}

#[test]
fn steered_ports_are_not_captured() {
    assert_eq!(
        excluded("{}", &[80, 8080]),
        [
            "skip-inbound-ports 80,8080",
            "transparent-proxy-exclude-inbound-ports 80,8080",
            "exclude-inbound-ports 80,8080",
            "excludeInboundPorts 80,8080",
        ]
    );
    assert_eq!(excluded("{}", &[]), Vec::<String>::new());
}

#[test]
fn what_was_excluded_before_stays() {
    let before = "{traffic.sidecar.istio.io/excludeInboundPorts: '9090, 80', config.linkerd.io/skip-inbound-ports: '4000-9000,25', \
                  traffic.kuma.io/exclude-inbound-ports: '1234', consul.hashicorp.com/transparent-proxy-exclude-inbound-ports: '8080,9'}";
    assert_eq!(
        excluded(before, &[80, 8080]),
        [
            "skip-inbound-ports 4000-9000,25,80",
            "transparent-proxy-exclude-inbound-ports 8080,9,80",
            "exclude-inbound-ports 1234,80,8080",
            "excludeInboundPorts 9090,80,8080",
        ]
    );
    let all = "{traffic.sidecar.istio.io/excludeInboundPorts: '*'}";
    assert_eq!(excluded(all, &[80])[3], "excludeInboundPorts *");
}

#[test]
fn a_list_of_captured_ports_goes_before_the_excluded_ones() {
    let listed = "{traffic.sidecar.istio.io/includeInboundPorts: '80,9090'}";
    assert_eq!(excluded(listed, &[80])[4], "includeInboundPorts 9090");
    let only = "{traffic.sidecar.istio.io/includeInboundPorts: '80'}";
    assert_eq!(excluded(only, &[80])[4], "includeInboundPorts ");
    let all = "{traffic.sidecar.istio.io/includeInboundPorts: '*'}";
    assert_eq!(excluded(all, &[80])[4], "includeInboundPorts *");
}

#[test]
fn a_clone_has_the_annotations_and_keeps_the_others() {
    let mut source = plain("{}");
    source.meta.annotations = Some(yaml(
        "{vault.hashicorp.com/agent-inject: 'true', linkerd.io/inject: enabled, argocd.argoproj.io/tracking-id: x, \
         kubectl.kubernetes.io/last-applied-configuration: '{}', meta.helm.sh/release-name: shop, byway.dev/armed: 'true'}",
    ));
    let (_, meta) = pods(&alone("{}", &source).unwrap());
    assert_eq!(
        meta["annotations"],
        serde_json::json!({
            "config.linkerd.io/skip-inbound-ports": "8080",
            "consul.hashicorp.com/connect-inject": "false",
            "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports": "8080",
            "linkerd.io/inject": "enabled",
            "traffic.kuma.io/exclude-inbound-ports": "8080",
            "traffic.sidecar.istio.io/excludeInboundPorts": "8080",
            "vault.hashicorp.com/agent-inject": "true",
        })
    );
    source.meta.annotations = None;
    let (_, meta) = pods(&alone("{incoming: {mode: 'off'}}", &source).unwrap());
    // An injected pod that Consul does not register never starts, whether or not anything is steered.
    assert_eq!(meta["annotations"], serde_json::json!({ "consul.hashicorp.com/connect-inject": "false" }));
}

fn in_consul(annotations: &str, services: &[ServiceRow]) -> Children {
    let mut source = plain("{}");
    source.meta.annotations = Some(yaml(annotations));
    let around = Surroundings { services, ..Surroundings::default() };
    of_target(&preview("{}"), &key(), &source, &around).unwrap()
}

#[test]
fn consul_keeps_out_of_a_preview_that_it_would_not_register() {
    let inject =
        |children: &Children| pods(children).1["annotations"]["consul.hashicorp.com/connect-inject"].clone();
    for (annotations, said) in [
        ("{consul.hashicorp.com/connect-inject: 'true'}", true),
        ("{consul.hashicorp.com/connect-inject: 'T', consul.hashicorp.com/connect-service: my-app}", true),
        // It injects by default here, or it would not be told how.
        ("{consul.hashicorp.com/connect-service: my-app}", true),
        ("{consul.hashicorp.com/connect-service-upstreams: 'db:5432'}", true),
        ("{consul.hashicorp.com/connect-inject: 'false', consul.hashicorp.com/service-tags: a}", false),
        ("{}", false),
    ] {
        let clone = in_consul(annotations, &[]);
        assert_eq!(inject(&clone), "false", "{annotations}");
        assert_eq!(reasons(&clone).contains(&"OutsideMesh"), said, "{annotations}");
        assert!(pods(&clone).1["annotations"].get("consul.hashicorp.com/connect-service").is_none());
    }
    // Nothing in the template tells, but the target's pods do.
    let around = Surroundings { in_consul: true, ..Surroundings::default() };
    let clone = of_target(&preview("{}"), &key(), &plain("{}"), &around).unwrap();
    assert_eq!((inject(&clone), reasons(&clone)), ("false".into(), vec!["OutsideMesh"]));
    let clone = in_consul("{consul.hashicorp.com/connect-inject: 'true'}", &[]);
    assert!(said(&clone, "OutsideMesh").contains("make a Service that selects its label byway.dev/preview"));
}

#[test]
fn a_service_for_the_preview_has_consul_register_it_by_that_name() {
    let annotations =
        "{consul.hashicorp.com/connect-inject: 'true', consul.hashicorp.com/connect-service: my-app}";
    let own = [service("redesign", "{byway.dev/preview: redesign}", "[{port: 80}]")];
    let clone = in_consul(annotations, &own);
    let meta = pods(&clone).1;
    assert_eq!(meta["annotations"]["consul.hashicorp.com/connect-inject"], "true");
    assert!(meta["annotations"].get("consul.hashicorp.com/connect-service").is_none(), "{meta}");
    assert!(clone.warnings.is_empty(), "{:?}", clone.warnings);
    // One for another preview, and the target's, are none for it.
    let others = [
        service("other", "{byway.dev/preview: other}", "[{port: 80}]"),
        service("my-app", "{app: my-app}", "[{port: 80}]"),
    ];
    assert_eq!(reasons(&in_consul(annotations, &others)), ["OutsideMesh"]);
}
