use serde_json::{Value, json};

use crate::clone::testing::{alone, key, own_name, plain, pods, preview, reasons, row, service, source};
use crate::clone::{Surroundings, of_target};
use byway_api::TargetKind;

/// As a Helm chart of a shop makes it, with a bit of everything.
const SHOP: &str = r#"
metadata:
  labels: {app.kubernetes.io/name: shop, app.kubernetes.io/version: "1", helm.sh/chart: shop-1.0.0}
  annotations: {checksum/config: abc, vault.hashicorp.com/agent-inject: "true"}
spec:
  serviceAccountName: shop
  priorityClassName: business-critical
  runtimeClassName: gvisor
  enableServiceLinks: false
  shareProcessNamespace: true
  nodeSelector: {pool: web}
  dnsConfig: {options: [{name: ndots, value: "1"}]}
  hostname: shop
  imagePullSecrets: [{name: registry}]
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, sysctls: [{name: net.core.somaxconn, value: "1024"}]}
  terminationGracePeriodSeconds: 60
  tolerations: [{key: dedicated, value: web, effect: NoSchedule}]
  initContainers:
  - {name: migrate, image: "shop:1", args: [migrate]}
  - {name: tunnel, image: tunnel, restartPolicy: Always, ports: [{containerPort: 5432, hostPort: 5432}]}
  containers:
  - name: web
    image: shop:1
    imagePullPolicy: IfNotPresent
    envFrom: [{configMapRef: {name: shop}}, {secretRef: {name: shop}}]
    env:
    - {name: DATABASE, valueFrom: {secretKeyRef: {name: db, key: url}}}
    - {name: POD_IP, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: status.podIP}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: "0"}}}
    ports: [{name: http, containerPort: 8080, hostPort: 80, hostIP: 10.0.0.1, protocol: TCP}, {name: grpc, containerPort: 9000, protocol: TCP}]
    readinessProbe: {grpc: {port: 9000, service: ""}, periodSeconds: 5}
    livenessProbe: {httpGet: {path: /live, port: http, scheme: HTTP}, terminationGracePeriodSeconds: 5}
    startupProbe: {exec: {command: [ready]}, failureThreshold: 30}
    lifecycle: {preStop: {exec: {command: [drain]}}}
    resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 128Mi}}
    securityContext: {readOnlyRootFilesystem: true, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}
    volumeMounts: [{name: tmp, mountPath: /tmp}, {name: tokens, mountPath: /tokens, readOnly: true}, {name: config, mountPath: /etc/shop, subPath: shop.yaml}]
  volumes:
  - {name: tmp, emptyDir: {medium: Memory, sizeLimit: 64Mi}}
  - {name: config, configMap: {name: shop, defaultMode: 420}}
  - {name: tokens, projected: {sources: [{serviceAccountToken: {audience: bank, expirationSeconds: 3600, path: bank}}, {secret: {name: shop}}]}}
"#;

/// Where two values differ, as JSON pointers.
fn differences(one: &Value, other: &Value, path: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<_> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                differences(&one[name], &other[name], &format!("{path}/{name}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{path}/{at}"), found);
            }
        }
        _ if one == other => {}
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn a_clone_is_its_target_but_for_what_must_differ() {
    let target = source(TargetKind::Deployment, SHOP);
    let services = [service("shop", "{app.kubernetes.io/name: shop}", "[{port: 80, targetPort: http}]")];
    let rows = [row("PodDisruptionBudget", "shop", "{matchLabels: {app.kubernetes.io/name: shop}}")];
    let around = Surroundings { services: &services, selectors: &rows, ..Surroundings::default() };
    let clone = of_target(&preview("{image: 'shop:2'}"), &key(), &target, &around).unwrap();
    assert_eq!(clone.ports, [8080, 9000]);
    assert_eq!(reasons(&clone), ["InitContainers"]);
    let (spec, meta) = pods(&clone);
    let mut found = Vec::new();
    differences(&serde_json::to_value(&target.spec).unwrap(), &spec, "", &mut found);
    assert_eq!(
        found,
        [
            "/containers/0/env",
            "/containers/0/image",
            "/containers/0/imagePullPolicy",
            "/containers/0/ports/0/hostIP",
            "/containers/0/ports/0/hostPort",
            "/initContainers/1/ports/0/hostPort",
            "/priorityClassName",
            "/readinessGates",
            "/restartPolicy",
        ]
    );
    assert_eq!(spec["restartPolicy"], "Always");
    assert_eq!(
        meta,
        json!({
            "labels": {
                "app": own_name(),
                "app.kubernetes.io/name": own_name(),
                "app.kubernetes.io/version": "1",
                "byway.dev/key": "key-1",
                "byway.dev/preview": "redesign",
                "helm.sh/chart": "shop-1.0.0",
            },
            "annotations": {
                "checksum/config": "abc",
                "config.linkerd.io/skip-inbound-ports": "8080,9000",
                "consul.hashicorp.com/connect-inject": "false",
                "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports": "8080,9000",
                "traffic.kuma.io/exclude-inbound-ports": "8080,9000",
                "traffic.sidecar.istio.io/excludeInboundPorts": "8080,9000",
                "vault.hashicorp.com/agent-inject": "true",
            },
        })
    );
}

#[test]
fn what_only_one_pod_can_have_goes() {
    let all = "{nodeName: n, priority: 5, preemptionPolicy: Never, priorityClassName: p, activeDeadlineSeconds: 9, hostname: h, subdomain: s, setHostnameAsFQDN: true}";
    let mut target = plain(all);
    for (kind, kept) in [
        (TargetKind::Deployment, &["hostname", "setHostnameAsFQDN", "subdomain"][..]),
        (TargetKind::DaemonSet, &["hostname", "setHostnameAsFQDN", "subdomain"]),
        (TargetKind::StatefulSet, &[]),
        (TargetKind::Pod, &[]),
    ] {
        target.kind = kind;
        let (spec, _) = pods(&alone("{}", &target).unwrap());
        let mut names: Vec<_> = spec.as_object().unwrap().keys().map(String::as_str).collect();
        names.retain(|name| !["containers", "readinessGates", "restartPolicy"].contains(name));
        assert_eq!(names, kept, "{kind:?}");
    }
}

#[test]
fn init_containers_can_be_left_out_but_sidecars_stay() {
    let target = source(TargetKind::Deployment, SHOP);
    let clone = alone("{skipInitContainers: true}", &target).unwrap();
    let (spec, _) = pods(&clone);
    let names: Vec<_> =
        spec["initContainers"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tunnel"]);
    assert!(clone.warnings.is_empty());
}

#[test]
fn the_target_is_told_apart_from_whom_it_shares_labels_with() {
    // The workload's own selector counts, though nobody lists it.
    let (_, meta) = pods(&alone("{}", &plain("{}")).unwrap());
    assert_eq!(meta["labels"]["app"], own_name());
    // What belongs to previews does not: its own Deployment is in the list once it is there.
    let rows = [
        row("Deployment", "byway-redesign", "{matchLabels: {byway.dev/preview: redesign}}"),
        row("PodDisruptionBudget", "everything", "{}"),
    ];
    let around = Surroundings { selectors: &rows, ..Surroundings::default() };
    let clone = of_target(&preview("{}"), &key(), &plain("{}"), &around).unwrap();
    assert_eq!(reasons(&clone), ["StillSelected"]);
    assert!(clone.warnings[0].message.contains("by PodDisruptionBudget everything,"));
}
