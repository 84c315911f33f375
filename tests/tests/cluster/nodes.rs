//! Two real nodes: pods, the network between them, Services, images, and the death of a node.

use std::fs;
use std::path::Path;
use std::time::Duration;

use byway_tests::{Cluster, Image, Scratch, eventually, find_program, needs_root};

/// Everything in one test: nodes take ten seconds to come up.
#[test]
fn nodes_run_pods_that_reach_each_other_and_can_die() {
    if needs_root() {
        return;
    }
    let cluster = Cluster::builder().nodes(2).start().unwrap();
    let namespace = cluster.namespace("demo").unwrap();
    let [here, there] = [0, 1].map(|index| cluster.node(index).name().to_owned());
    load_app(&cluster);
    cluster.apply(&pod(&namespace, "client", &here, "localhost/busybox:1", "sleep 3600")).unwrap();
    let serve = "echo hello >/tmp/index.html; exec httpd -f -p 8080 -h /tmp";
    cluster.apply(&pod(&namespace, "app", &there, "localhost/app:1", serve)).unwrap();
    let service = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: app, namespace: {namespace}}}, spec: \
         {{selector: {{app: app}}, ipFamilyPolicy: RequireDualStack, ports: [{{port: 80, targetPort: 8080}}]}}}}"
    );
    cluster.apply(&service).unwrap();
    let get = |what: &str, path: &str| {
        cluster.ask(["get", what, "-n", &namespace, "-o", &format!("jsonpath={{{path}}}")]).unwrap()
    };
    let ready = ["wait", "--for=condition=Ready", "pod/app", "pod/client", "--timeout=60s", "-n", &namespace];
    cluster.ask(ready).unwrap();

    let pod_ips = get("pod/app", ".status.podIPs[*].ip");
    let (v4, v6) = pod_ips.split_once(' ').expect("both families");
    let services = get("service/app", ".spec.clusterIPs[*]");
    let (service_v4, service_v6) = services.split_once(' ').expect("both families");
    for host in [format!("{v4}:8080"), format!("[{v6}]:8080"), service_v4.into(), format!("[{service_v6}]")] {
        let url = format!("http://{host}/");
        let wget = ["exec", "client", "-n", &namespace, "--", "timeout", "5", "wget", "-q", "-O", "-", &url];
        // kube-proxy learns of a Service in its own time.
        let answer = eventually(Duration::from_secs(20), || cluster.ask(wget).ok());
        assert_eq!(answer.as_deref(), Some("hello\n"), "{url}");
    }
    assert_eq!(cluster.ask(["exec", "app", "-n", &namespace, "--", "id", "-u"]).unwrap(), "65532\n");

    // The machine's programs, in a pod's namespace and on a node.
    let mut ip = cluster.pod_command(&namespace, "app", "ip").unwrap();
    let addresses = ip.args(["-brief", "address"]).output().unwrap().stdout;
    assert!(String::from_utf8_lossy(&addresses).contains(v4), "{}", String::from_utf8_lossy(&addresses));
    let hostname = cluster.node(1).command("hostname").output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&hostname).trim(), there);

    cluster.node(1).kill();
    let status = r#".status.conditions[?(@.type=="Ready")].status"#;
    let node = format!("node/{there}");
    let unknown = eventually(Duration::from_secs(60), || (get(&node, status) == "Unknown").then_some(()));
    assert!(unknown.is_some(), "a dead node is noticed");
    assert_eq!(get(&format!("node/{here}"), status), "True");

    drop(cluster);
    assert_eq!(traces(&[&here, &there]), Vec::<String>::new());
}

/// An image like those of real apps: not root, a variable, a file.
fn load_app(cluster: &Cluster) {
    let folder = Scratch::new("image").unwrap();
    let archive = folder.path().join("app.tar");
    let image = Image::new("localhost/app:1").busybox(&find_program("busybox").unwrap()).unwrap();
    image.user("65532:65532").env("COLOUR", "blue").entrypoint(["/bin/sh"]).write(&archive).unwrap();
    cluster.load_image(&archive).unwrap();
}

fn pod(namespace: &str, name: &str, node: &str, image: &str, command: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}, \
         spec: {{nodeName: {node}, terminationGracePeriodSeconds: 0, containers: [{{name: c, image: '{image}', \
         imagePullPolicy: Never, command: [sh, -c, '{command}']}}]}}}}"
    )
}

/// What is left of nodes, by their names.
fn traces(nodes: &[&str]) -> Vec<String> {
    let hierarchies =
        fs::read_dir("/sys/fs/cgroup").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let folders: Vec<_> = hierarchies.chain(["/sys/fs/cgroup".into(), "/run/netns".into()]).collect();
    let files = nodes.iter().flat_map(|node| folders.iter().map(move |folder| folder.join(node)));
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let of_node = |process: &Path| {
        let line = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        nodes.iter().any(|node| line.contains(node))
    };
    let left = files.filter(|file| file.exists()).chain(processes.filter(|process| of_node(process)));
    left.map(|path| path.display().to_string()).collect()
}
