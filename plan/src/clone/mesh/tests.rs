use std::collections::BTreeMap;

use super::{exclude, proxy_ports};
use crate::clone::testing::{alone, plain, pods, yaml};

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
    assert_eq!(excluded("{}", &[80, 8080]), ["skip-inbound-ports 80,8080", "excludeInboundPorts 80,8080"]);
    assert_eq!(excluded("{}", &[]), Vec::<String>::new());
}

#[test]
fn what_was_excluded_before_stays() {
    let before = "{traffic.sidecar.istio.io/excludeInboundPorts: '9090, 80', config.linkerd.io/skip-inbound-ports: '4000-9000,25'}";
    assert_eq!(
        excluded(before, &[80, 8080]),
        ["skip-inbound-ports 4000-9000,25,80", "excludeInboundPorts 9090,80,8080"]
    );
    let all = "{traffic.sidecar.istio.io/excludeInboundPorts: '*'}";
    assert_eq!(excluded(all, &[80])[1], "excludeInboundPorts *");
}

#[test]
fn a_list_of_captured_ports_goes_before_the_excluded_ones() {
    let listed = "{traffic.sidecar.istio.io/includeInboundPorts: '80,9090'}";
    assert_eq!(excluded(listed, &[80])[2], "includeInboundPorts 9090");
    let only = "{traffic.sidecar.istio.io/includeInboundPorts: '80'}";
    assert_eq!(excluded(only, &[80])[2], "includeInboundPorts ");
    let all = "{traffic.sidecar.istio.io/includeInboundPorts: '*'}";
    assert_eq!(excluded(all, &[80])[2], "includeInboundPorts *");
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
            "linkerd.io/inject": "enabled",
            "traffic.sidecar.istio.io/excludeInboundPorts": "8080",
            "vault.hashicorp.com/agent-inject": "true",
        })
    );
    source.meta.annotations = None;
    let (_, meta) = pods(&alone("{incoming: {mode: 'off'}}", &source).unwrap());
    assert!(meta.get("annotations").is_none(), "{meta}");
}

#[test]
fn a_proxys_ports_are_known_where_it_is() {
    assert!(proxy_ports(&["app"]).is_empty());
    assert!(proxy_ports(&["app", "istio-proxy"])[0].contains(&15021));
    assert!(proxy_ports(&["app", "linkerd-proxy"])[0].contains(&4143));
}
