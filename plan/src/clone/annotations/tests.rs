use byway_api::TargetKind;
use serde_json::{Value, json};

use crate::clone::testing::{alone, plain, pods, reasons, said, source, yaml};
use crate::clone::{Children, Source};

fn annotated(kind: TargetKind, annotations: &str) -> Source {
    let mut source = match kind {
        TargetKind::Deployment => plain("{}"),
        _ => source(kind, "spec: {containers: [{name: app, ports: [{containerPort: 8080}]}]}"),
    };
    source.meta.annotations = Some(yaml(annotations));
    source
}

fn clone(annotations: &str) -> Children {
    alone("{}", &annotated(TargetKind::Deployment, annotations)).unwrap()
}

fn annotations(children: &Children) -> Value {
    pods(children).1["annotations"].clone()
}

#[test]
fn dapr_knows_a_preview_by_an_id_of_its_own() {
    let children = clone("{dapr.io/enabled: 'true', dapr.io/app-id: checkout, dapr.io/app-port: '8080'}");
    let of_clone = annotations(&children);
    let id = of_clone["dapr.io/app-id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("byway-redesign-") && id.len() + "-dapr".len() <= 63, "{id}");
    assert_eq!(
        (&of_clone["dapr.io/enabled"], &of_clone["dapr.io/app-port"]),
        (&json!("true"), &json!("8080"))
    );
    let said = said(&children, "DaprAppId");
    assert!(said.starts_with(&format!("to Dapr the preview is {id}, not checkout: ")), "{said}");
    // As its operator and injector read it.
    for (on, is_said) in [("Yes", true), ("1", true), ("ON", true), ("false", false), ("no", false)] {
        let children = clone(&format!("{{dapr.io/enabled: '{on}', dapr.io/app-id: checkout}}"));
        assert_eq!(annotations(&children)["dapr.io/app-id"], *id, "{on}");
        assert_eq!(reasons(&children).contains(&"DaprAppId"), is_said, "{on}");
    }
    // Without an id it has its pod's name, which is nobody else's.
    let children = clone("{dapr.io/enabled: 'true'}");
    assert!(annotations(&children).get("dapr.io/app-id").is_none() && children.warnings.is_empty());
}

#[test]
fn a_fixed_address_stays_with_the_target() {
    for (given, left) in [
        (
            "{cni.projectcalico.org/ipAddrs: '[\"10.0.0.7\"]', cni.projectcalico.org/ipv4pools: '[\"p\"]'}",
            "{cni.projectcalico.org/ipv4pools: '[\"p\"]'}",
        ),
        ("{cni.projectcalico.org/ipAddrsNoIpam: '[\"10.0.0.7\"]'}", "{}"),
        ("{cni.projectcalico.org/hwAddr: '1c:0c:0a:c0:ff:ee'}", "{}"),
        (
            "{ovn.kubernetes.io/ip_address: 10.16.0.15, ovn.kubernetes.io/logical_switch: ls1}",
            "{ovn.kubernetes.io/logical_switch: ls1}",
        ),
        ("{ovn.kubernetes.io/ip_pool: '10.16.0.15,10.16.0.16'}", "{}"),
        ("{net1.default.ovn.kubernetes.io/ip_address: 10.17.0.15}", "{}"),
        (
            "{cni.cilium.io/mac-address: 'e2:9c:30:38:52:61', ipam.cilium.io/ip-pool: blue}",
            "{ipam.cilium.io/ip-pool: blue}",
        ),
        ("{ipam.antrea.io/pod-ips: 10.2.0.12}", "{}"),
        (
            "{k8s.v1.cni.cncf.io/networks: '[{\"name\":\"net\",\"ips\":[\"192.0.2.5/24\"],\"mac\":\"c2:b0:57:49:47:f1\"},{\"name\":\"other\",\"interface\":\"eth2\"}]'}",
            "{k8s.v1.cni.cncf.io/networks: '[{\"name\":\"net\"},{\"interface\":\"eth2\",\"name\":\"other\"}]'}",
        ),
        (
            "{v1.multus-cni.io/default-network: '{\"name\":\"net\",\"ips\":[\"192.0.2.5/24\"]}'}",
            "{v1.multus-cni.io/default-network: '{\"name\":\"net\"}'}",
        ),
    ] {
        for kind in [TargetKind::Deployment, TargetKind::StatefulSet] {
            let children = alone("{}", &annotated(kind, given)).unwrap();
            let mut found = annotations(&children);
            let without_meshes = yaml::<Value>(left);
            found.as_object_mut().unwrap().retain(|name, _| {
                !name.contains("inbound") && !name.contains("Inbound") && !name.contains("consul")
            });
            assert_eq!(found, without_meshes, "{kind:?} {given}");
            let message = said(&children, "AddressDropped");
            let named =
                yaml::<Value>(given).as_object().unwrap().keys().any(|name| message.contains(name.as_str()));
            assert!(named && message.contains("get any"), "{message}");
        }
    }
}

#[test]
fn networks_that_are_only_named_stay_as_they_are() {
    for networks in ["net", "other/net@eth1, net", "[{\"name\": \"net\"}]", "[", "7"] {
        let mut source = plain("{}");
        source.meta.annotations =
            Some([("k8s.v1.cni.cncf.io/networks".to_owned(), networks.to_owned())].into());
        let children = alone("{}", &source).unwrap();
        assert_eq!(annotations(&children)["k8s.v1.cni.cncf.io/networks"], networks);
        assert!(children.warnings.is_empty(), "{networks}");
    }
}

#[test]
fn what_others_would_find_the_target_by_is_left_out_and_what_the_app_needs_stays() {
    let children = clone(
        "{external-dns.kubernetes.io/internal-hostname: shop.example.com, keel.sh/policy: all, keel.sh/update-time: t, \
          reloader.stakater.com/auto: 'true', reloader.stakater.com/last-reloaded-from: x, prometheus.io/scrape: 'true', \
          vault.hashicorp.com/role: shop, ad.datadoghq.com/app.checks: '{}', backup.velero.io/backup-volumes: data, \
          argocd.argoproj.io/tracking-id: x, checksum/config: abc, vpaUpdates: y}",
    );
    let mut names: Vec<String> = annotations(&children).as_object().unwrap().keys().cloned().collect();
    names.retain(|name| !name.contains("nbound") && !name.contains("consul"));
    assert_eq!(
        names,
        [
            "ad.datadoghq.com/app.checks",
            "checksum/config",
            "keel.sh/update-time",
            "prometheus.io/scrape",
            "reloader.stakater.com/last-reloaded-from",
            "vault.hashicorp.com/role",
        ]
    );
    assert!(children.warnings.is_empty(), "{:?}", children.warnings);
}
