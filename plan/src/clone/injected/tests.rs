use byway_api::TargetKind;
use serde_json::{Value, json};

use crate::clone::testing::{alone, found, pods, reasons, source, yaml};

/// A pod as a cluster with Istio, Vault and Calico shows it.
const INJECTED: &str = r#"
metadata:
  name: my-app
  labels: {app: my-app, security.istio.io/tlsMode: istio, service.istio.io/canonical-name: my-app, service.istio.io/canonical-revision: latest}
  annotations:
    cni.projectcalico.org/podIP: 10.0.0.7/32
    istio.io/rev: default
    kubectl.kubernetes.io/default-container: app
    prometheus.io/port: "15020"
    prometheus.io/scrape: "true"
    sidecar.istio.io/status: '{"initContainers":["istio-init"],"containers":["istio-proxy"]}'
    vault.hashicorp.com/agent-inject: "true"
    vault.hashicorp.com/agent-inject-status: injected
    container.apparmor.security.beta.kubernetes.io/istio-proxy: runtime/default
    container.apparmor.security.beta.kubernetes.io/app: runtime/default
spec:
  nodeName: node-1
  hostname: my-app-0
  subdomain: my-app
  priority: 0
  preemptionPolicy: PreemptLowerPriority
  serviceAccountName: shop
  overhead: {cpu: 10m}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [node-1]}]}]
  tolerations:
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
  - {key: dedicated, operator: Exists}
  initContainers:
  - {name: istio-init, image: proxyv2}
  - {name: vault-agent-init, image: vault, volumeMounts: [{name: home-init, mountPath: /home/vault}, {name: vault-secrets, mountPath: /vault/secrets}]}
  - {name: istio-proxy, image: proxyv2, restartPolicy: Always, volumeMounts: [{name: istio-token, mountPath: /t}, {name: own, mountPath: /o}],
     env: [{name: ISTIO_KUBE_APP_PROBERS, value: '{"/app-health/app/readyz":{"httpGet":{"path":"/ready","port":8080,"scheme":"HTTP"},"timeoutSeconds":1},"/app-health/app/livez":{"grpc":{"port":9000}}}'}]}
  containers:
  - name: app
    image: my-app:1
    ports: [{containerPort: 8080}]
    readinessProbe: {httpGet: {path: /app-health/app/readyz, port: 15020}, timeoutSeconds: 1}
    livenessProbe: {httpGet: {path: /app-health/app/livez, port: 15020}, periodSeconds: 7}
    startupProbe: {httpGet: {path: /start, port: 8080}}
    volumeMounts:
    - {name: vault-secrets, mountPath: /vault/secrets}
    - {name: kube-api-access-x2z4k, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
    - {name: data, mountPath: /data}
    - {name: own, mountPath: /own}
  - {name: vault-agent, image: vault, volumeMounts: [{name: home-sidecar, mountPath: /home/vault}]}
  volumes:
  - {name: istio-token, projected: {sources: []}}
  - {name: home-init, emptyDir: {medium: Memory}}
  - {name: home-sidecar, emptyDir: {medium: Memory}}
  - {name: vault-secrets, emptyDir: {medium: Memory}}
  - {name: data, emptyDir: {}}
  - {name: own, emptyDir: {}}
  - {name: kube-api-access-x2z4k, projected: {sources: []}}
"#;

#[test]
fn a_pod_is_cloned_as_it_was_asked_for() {
    let target = found(TargetKind::Pod, &yaml::<Value>(INJECTED));
    let (spec, meta) = pods(&alone("{target: {kind: Pod, name: my-app}}", &target).unwrap());
    for gone in
        ["nodeName", "hostname", "subdomain", "priority", "preemptionPolicy", "overhead", "initContainers"]
    {
        assert!(spec.get(gone).is_none(), "{gone}: {spec}");
    }
    assert_eq!(spec["serviceAccountName"], "shop");
    assert_eq!(spec["affinity"], json!({ "nodeAffinity": {} }));
    assert_eq!(spec["tolerations"], json!([{ "key": "dedicated", "operator": "Exists" }]));
    assert_eq!(
        spec["volumes"],
        json!([{ "name": "data", "emptyDir": {} }, { "name": "own", "emptyDir": {} }])
    );
    assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
    let app = &spec["containers"][0];
    assert_eq!(
        app["volumeMounts"],
        json!([{ "name": "data", "mountPath": "/data" }, { "name": "own", "mountPath": "/own" }])
    );
    let ready =
        json!({ "httpGet": { "path": "/ready", "port": 8080, "scheme": "HTTP" }, "timeoutSeconds": 1 });
    assert_eq!(app["readinessProbe"], ready);
    assert_eq!(app["livenessProbe"], json!({ "grpc": { "port": 9000 }, "periodSeconds": 7 }));
    assert_eq!(app["startupProbe"]["httpGet"]["path"], "/start");
    assert_eq!(
        meta["annotations"],
        json!({
            "config.linkerd.io/skip-inbound-ports": "8080",
            "consul.hashicorp.com/connect-inject": "false",
            "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports": "8080",
            "container.apparmor.security.beta.kubernetes.io/app": "runtime/default",
            "traffic.kuma.io/exclude-inbound-ports": "8080",
            "traffic.sidecar.istio.io/excludeInboundPorts": "8080",
            "vault.hashicorp.com/agent-inject": "true",
        })
    );
    // A Pod has no selector: its labels stay, save those that were injected.
    assert_eq!(meta["labels"]["app"], "my-app");
    assert_eq!(meta["labels"].as_object().unwrap().len(), 3);
}

#[test]
fn what_a_template_has_is_the_users() {
    let by_hand = source(
        TargetKind::Deployment,
        "{metadata: {annotations: {sidecar.istio.io/status: '{}'}}, spec: {initContainers: [{name: istio-init}], \
         containers: [{name: app, ports: [{containerPort: 8080}]}, {name: istio-proxy, ports: [{containerPort: 15090}]}]}}",
    );
    let clone = alone("{skipInitContainers: true}", &by_hand).unwrap();
    let (spec, _) = pods(&clone);
    assert_eq!(spec["containers"].as_array().unwrap().len(), 2);
    assert_eq!(spec["initContainers"][0]["name"], "istio-init");
    assert_eq!(clone.ports, [8080]);
    assert!(clone.warnings.is_empty(), "{:?}", clone.warnings);
}

#[test]
fn a_gateway_is_its_proxy() {
    let gateway = source(
        TargetKind::Pod,
        "{metadata: {annotations: {sidecar.istio.io/status: '{}'}}, spec: {containers: [{name: istio-proxy, ports: [{containerPort: 8443}]}]}}",
    );
    let clone = alone("{}", &gateway).unwrap();
    assert_eq!(clone.ports, [8443]);
    assert_eq!(pods(&clone).0["containers"][0]["image"], "registry.example.com/my-app:feature");
}

/// The clone of a pod with this metadata and spec: its pods, with their metadata, and the codes of its warnings.
fn of_pod(pod: &str) -> (Value, Value, Vec<String>) {
    let target = found(TargetKind::Pod, &yaml::<Value>(pod));
    let clone = alone("{target: {kind: Pod, name: my-app}}", &target).unwrap();
    let (spec, meta) = pods(&clone);
    (spec, meta, reasons(&clone).into_iter().map(str::to_owned).collect())
}

#[test]
fn what_consul_put_into_a_pod_goes_and_probes_are_as_they_were() {
    let (spec, meta, warnings) = of_pod(
        r#"
metadata:
  name: my-app
  labels: {app: my-app, consul.hashicorp.com/connect-inject-status: injected}
  annotations:
    consul.hashicorp.com/connect-inject-status: injected
    consul.hashicorp.com/transparent-proxy-status: enabled
    consul.hashicorp.com/original-pod: '{"metadata":{},"spec":{"containers":[{"name":"app","readinessProbe":{"httpGet":{"path":"/ready","port":8080}}}]}}'
spec:
  initContainers: [{name: consul-connect-inject-init, image: k8s, volumeMounts: [{name: consul-connect-inject-data, mountPath: /c}]}]
  containers:
  - {name: app, ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /ready, port: 20300}, periodSeconds: 3}}
  - {name: consul-dataplane, image: dataplane, volumeMounts: [{name: consul-connect-inject-data, mountPath: /c}]}
  volumes: [{name: consul-connect-inject-data, emptyDir: {}}]
"#,
    );
    assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
    assert!(spec.get("initContainers").is_none() && spec["volumes"] == json!([]), "{spec}");
    assert_eq!(
        spec["containers"][0]["readinessProbe"],
        json!({ "httpGet": { "path": "/ready", "port": 8080 }, "periodSeconds": 3 })
    );
    assert_eq!(
        meta["labels"],
        json!({ "app": "my-app", "byway.dev/key": "key-1", "byway.dev/preview": "redesign" })
    );
    assert!(!meta["annotations"].to_string().contains("status"), "{meta}");
    assert_eq!(warnings, ["OutsideMesh"], "it was injected, whoever asked for it");
}

#[test]
fn what_kuma_and_dapr_put_into_a_pod_goes() {
    let (spec, meta, warnings) = of_pod(
        "
metadata:
  name: my-app
  labels: {app: my-app, kuma.io/sidecar-injection: enabled}
  annotations: {kuma.io/sidecar-injected: 'true', kuma.io/application-probe-proxy-port: '9001', kuma.io/mesh: default}
spec:
  initContainers: [{name: kuma-init, image: init}]
  containers:
  - name: app
    ports: [{containerPort: 8080}]
    readinessProbe: {httpGet: {path: /8080/health/ready, port: 9001}}
    livenessProbe: {httpGet: {path: /live, port: 8080}}
    volumeMounts: [{name: kuma-sidecar-tmp, mountPath: /k}]
  - {name: kuma-sidecar, image: kuma-dp}
  volumes: [{name: kuma-sidecar-tmp, emptyDir: {}}]
",
    );
    assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
    assert_eq!(
        spec["containers"][0]["readinessProbe"],
        json!({ "httpGet": { "path": "/health/ready", "port": 8080 } })
    );
    assert_eq!(spec["containers"][0]["livenessProbe"]["httpGet"], json!({ "path": "/live", "port": 8080 }));
    assert_eq!(meta["labels"]["kuma.io/sidecar-injection"], "enabled");
    assert_eq!(meta["annotations"]["kuma.io/mesh"], "default");
    assert!(warnings.is_empty(), "{warnings:?}");

    let (spec, meta, warnings) = of_pod(
        "{metadata: {name: my-app, labels: {dapr.io/sidecar-injected: 'true', dapr.io/app-id: my-app, dapr.io/metrics-enabled: 'true'}, \
           annotations: {dapr.io/enabled: 'true', dapr.io/app-id: my-app}}, spec: {containers: [{name: app, ports: [{containerPort: 8080}]}, \
           {name: daprd, image: daprd, volumeMounts: [{name: dapr-identity-token, mountPath: /d}]}], volumes: [{name: dapr-identity-token, emptyDir: {}}]}}",
    );
    assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
    assert_eq!(meta["labels"], json!({ "byway.dev/key": "key-1", "byway.dev/preview": "redesign" }));
    assert_eq!(warnings, ["DaprAppId"]);
}

#[test]
fn what_a_network_wrote_into_a_pod_is_of_that_pod() {
    let (_, meta, warnings) = of_pod(
        "{metadata: {name: my-app, labels: {app: my-app}, annotations: {cni.projectcalico.org/podIP: 10.0.0.7/32, cni.projectcalico.org/podIPs: 10.0.0.7/32, \
           cni.projectcalico.org/containerID: abc, ovn.kubernetes.io/allocated: 'true', ovn.kubernetes.io/ip_address: 10.16.0.2, k8s.ovn.org/pod-networks: '{}', \
           vpc.amazonaws.com/pod-eni: '[]', cni.projectcalico.org/ipv4pools: '[]'}}, spec: {containers: [{name: app, ports: [{containerPort: 8080}]}]}}",
    );
    let mut names: Vec<&String> = meta["annotations"].as_object().unwrap().keys().collect();
    names.retain(|name| !name.contains("nbound") && !name.contains("consul"));
    assert_eq!(names, ["cni.projectcalico.org/ipv4pools"]);
    assert!(warnings.is_empty(), "{warnings:?}");
}
