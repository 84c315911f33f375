use byway_api::TargetKind;
use serde_json::{Value, json};

use crate::clone::testing::{alone, found, pods, source, yaml};

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
            "container.apparmor.security.beta.kubernetes.io/app": "runtime/default",
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
