use byway_api::TargetKind;

use super::proxy_ports;
use crate::clone::testing::{alone, pods, source};

#[test]
fn a_proxys_ports_are_known_where_it_is() {
    assert!(proxy_ports(&["app"]).is_empty());
    assert!(proxy_ports(&["app", "istio-proxy"])[0].contains(&15021));
    assert!(proxy_ports(&["app", "linkerd-proxy"])[0].contains(&4143));
    assert!(proxy_ports(&["app", "kuma-sidecar"])[0].contains(&15006));
    assert!(proxy_ports(&["app", "consul-dataplane"])[0].contains(&20000));
}

#[test]
fn no_proxy_of_a_mesh_is_taken_for_the_app() {
    for proxy in
        ["istio-proxy", "linkerd-proxy", "kuma-sidecar", "consul-dataplane", "daprd", "envoy-sidecar"]
    {
        let target = source(
            TargetKind::Deployment,
            &format!(
                "spec: {{containers: [{{name: {proxy}, image: proxy, ports: [{{containerPort: 20000}}]}}, \
                   {{name: web, image: 'web:1', ports: [{{containerPort: 8080}}]}}]}}"
            ),
        );
        let (spec, _) = pods(&alone("{}", &target).unwrap());
        assert_eq!(spec["containers"][1]["image"], "registry.example.com/my-app:feature", "{proxy}");
        assert_eq!(spec["containers"][0]["image"], "proxy");
    }
}
