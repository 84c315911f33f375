//! The agent in a pod, on a node with a real kubelet and containerd: it finds its targets by their UID, and needs no
//! more rights than docs/agent.md says.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use byway_tests::{
    Agent, Cluster, Image, Scratch, eventually, find_program, needs_root, node_routes, status_of,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const CRD: &str = include_str!("../../../charts/byway/files/crds/noderoutes.yaml");

/// One test: nodes take ten seconds to come up.
#[test]
fn an_agent_in_a_pod_steers_pods_of_its_node() {
    if needs_root() {
        return;
    }
    let cluster = Cluster::builder().nodes(2).start().unwrap();
    let [here, there] = [0, 1].map(|index| cluster.node(index).name().to_owned());
    let namespace = cluster.namespace("demo").unwrap();
    load_images(&cluster).unwrap();
    cluster.apply(CRD).unwrap();
    cluster.apply(&rights(&namespace)).unwrap();
    let serve = |text: &str| {
        // The trap has it end as slowly as a real app may.
        format!(
            "trap 'sleep 4; exit' TERM; echo {text} >/tmp/index.html; while :; do httpd -f -p 8080 -h /tmp & wait $!; sleep 1; done"
        )
    };
    let host_network = json!({ "hostNetwork": true });
    for pod in [
        pod(&namespace, "app", &here, &serve("STABLE"), &json!({ "terminationGracePeriodSeconds": 20 })),
        pod(&namespace, "on-host", &here, "sleep 3600", &host_network),
        pod(&namespace, "preview", &there, &serve("PREVIEW"), &json!({})),
        pod(&namespace, "client", &there, "sleep 3600", &json!({})),
        agent(&namespace, &here),
    ] {
        cluster.apply(&pod.to_string()).unwrap();
    }
    let ready = ["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s", "-n", &namespace];
    cluster.ask(ready).unwrap_or_else(|e| panic!("{e}\n{}", log(&cluster, &namespace)));

    let (app, preview) = (Pod::get(&cluster, &namespace, "app"), Pod::get(&cluster, &namespace, "preview"));
    let on_host = Pod::get(&cluster, &namespace, "on-host");
    let target = |pod: &Pod| {
        let (name, uid, ips) = (&pod.name, &pod.uid, &pod.ips);
        json!({ "name": name, "podUid": uid, "ips": ips, "ports": [8080], "previews": ["demo/redesign"] })
    };
    let table = json!({
        "previews": [{ "name": "demo/redesign", "revision": "r1", "key": "pr-1", "backends": [{ "ips": preview.ips }] }],
        "targets": [target(&app), target(&on_host)],
    });
    let agent = Pod::get(&cluster, &namespace, "agent").uid;
    let routes = node_routes(&here, Some(&agent), &table);
    cluster.apply(&routes.to_string()).unwrap();
    let status = || -> Option<Value> {
        let object = cluster.ask(["get", "noderoutes", &here, "-o", "json"]).ok()?;
        Some(status_of(serde_json::from_str(&object).ok()?))
    };
    let acknowledged = eventually(SOON, || status().filter(|s| s["observedGeneration"] == 1));
    let acknowledged = acknowledged.unwrap_or_else(|| panic!("{}", log(&cluster, &namespace)));
    let preview_status = &acknowledged["previews"][0];
    assert_eq!(preview_status["revision"], "r1");
    let failures = preview_status["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{acknowledged:#}\n{}", log(&cluster, &namespace));
    assert_eq!(
        (&failures[0]["target"], &failures[0]["reason"]),
        (&json!("on-host"), &json!("TargetUsesHostNetwork"))
    );

    let ask = |key: &str| {
        let url = format!("http://{}:8080/", app.ips[0].as_str().unwrap_or_default());
        let header = format!("x-byway-key: {key}");
        let wget = ["timeout", "5", "wget", "-q", "-O", "-", "--header", &header, &url];
        let exec = [&["exec", "client", "-n", namespace.as_str(), "--"][..], &wget].concat();
        cluster.ask(exec).map(|text| text.trim().to_owned())
    };
    // If not at the first try on a busy machine: a late heartbeat passes a connection on to the app.
    let steered = || {
        let answered = || ask("pr-1").ok().filter(|answer| answer == "PREVIEW");
        assert!(eventually(Duration::from_secs(2), answered).is_some(), "{}", log(&cluster, &namespace));
    };
    steered();
    assert_eq!(ask("pr-2").unwrap(), "STABLE");

    // The app's container ends and starts again, in the pod that it was.
    cluster.ask(["exec", "app", "-n", &namespace, "--", "kill", "1"]).unwrap();
    let count = "jsonpath={.status.containerStatuses[0].restartCount}";
    let restarts = || cluster.ask(["get", "pod", "app", "-n", &namespace, "-o", count]).ok();
    assert!(eventually(SOON, || restarts().filter(|count| count == "1")).is_some());
    assert!(eventually(SOON, || ask("pr-2").ok().filter(|answer| answer == "STABLE")).is_some());
    steered();

    // While the pod terminates it keeps its routes; then all of it is gone, and said.
    cluster.ask(["delete", "pod", "app", "-n", &namespace, "--wait=false"]).unwrap();
    sleep(Duration::from_secs(1));
    steered();
    let gone = |status: &Value| {
        let failures = status["previews"][0]["failures"].as_array().cloned().unwrap_or_default();
        failures.iter().any(|f| f["target"] == "app" && f["reason"] == "NoProcess")
    };
    assert!(eventually(SOON, || status().filter(&gone)).is_some(), "{:?}", status());
}

struct Pod {
    name: String,
    uid: String,
    ips: Vec<Value>,
}

impl Pod {
    fn get(cluster: &Cluster, namespace: &str, name: &str) -> Self {
        let pod = cluster.ask(["get", "pod", name, "-n", namespace, "-o", "json"]).unwrap();
        let pod: Value = serde_json::from_str(&pod).unwrap();
        let ips = pod["status"]["podIPs"].as_array().unwrap().iter().map(|ip| ip["ip"].clone());
        let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
        Self { name: name.to_owned(), uid, ips: ips.collect() }
    }
}

fn log(cluster: &Cluster, namespace: &str) -> String {
    let log = cluster.ask(["logs", "agent", "-n", namespace]).unwrap_or_default();
    log + &cluster.ask(["describe", "pods", "-n", namespace]).unwrap_or_default()
}

fn load_images(cluster: &Cluster) -> Result<()> {
    let folder = Scratch::new("image")?;
    let archive = folder.path().join("image.tar");
    Image::new("localhost/app:1")
        .busybox(&find_program("busybox").context("no busybox")?)?
        .write(&archive)?;
    cluster.load_image(&archive)?;
    let mut image = Image::new("localhost/agent:1").file(&Agent::binary(), "/bin/byway-agent")?;
    for library in libraries(&Agent::binary())? {
        image = image.file(Path::new(&library), &library)?;
    }
    image.entrypoint(["/bin/byway-agent"]).write(&archive)?;
    cluster.load_image(&archive)
}

/// What the binary is linked with; nothing if it is static.
fn libraries(binary: &Path) -> Result<Vec<String>> {
    let output = Command::new("ldd").arg(binary).output().context("no ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(str::to_owned).collect())
}

fn pod(namespace: &str, name: &str, node: &str, command: &str, more: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "c", "image": "localhost/app:1", "imagePullPolicy": "Never", "command": ["sh", "-c", command],
            }],
        },
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        pod["spec"][field] = value.clone();
    }
    pod
}

fn agent(namespace: &str, node: &str) -> Value {
    let field = |path: &str| json!({ "fieldRef": { "fieldPath": path } });
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "agent", "namespace": namespace },
        "spec": {
            "nodeName": node,
            "hostPID": true,
            "serviceAccountName": "byway-agent",
            "terminationGracePeriodSeconds": 10,
            "containers": [{
                "name": "agent", "image": "localhost/agent:1", "imagePullPolicy": "Never",
                "args": ["--state-dir", "/state", "--admin", "0.0.0.0:9907"],
                "env": [
                    { "name": "NODE_NAME", "valueFrom": field("spec.nodeName") },
                    { "name": "POD_UID", "valueFrom": field("metadata.uid") },
                ],
                "readinessProbe": { "httpGet": { "path": "/readyz", "port": 9907 }, "periodSeconds": 1 },
                "securityContext": {
                    "runAsUser": 0,
                    "readOnlyRootFilesystem": true,
                    "seccompProfile": { "type": "RuntimeDefault" },
                    "capabilities": {
                        "drop": ["ALL"],
                        "add": ["SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "NET_BIND_SERVICE", "CHOWN"],
                    },
                },
                "volumeMounts": [
                    { "name": "state", "mountPath": "/state" },
                    { "name": "cgroup", "mountPath": "/host/cgroup", "readOnly": true },
                ],
            }],
            "volumes": [
                { "name": "state", "emptyDir": {} },
                { "name": "cgroup", "hostPath": { "path": "/sys/fs/cgroup", "type": "Directory" } },
            ],
        },
    })
}

/// The verbs that docs/agent.md names, and no others.
fn rights(namespace: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "List",
        "items": [
            { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "byway-agent", "namespace": namespace } },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "byway-agent" },
                "rules": [
                    { "apiGroups": ["byway.dev"], "resources": ["noderoutes"], "verbs": ["get", "list", "watch"] },
                    { "apiGroups": ["byway.dev"], "resources": ["noderoutes/status"], "verbs": ["update"] },
                ],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": { "name": "byway-agent" },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "byway-agent" },
                "subjects": [{ "kind": "ServiceAccount", "name": "byway-agent", "namespace": namespace }],
            },
        ],
    })
    .to_string()
}
