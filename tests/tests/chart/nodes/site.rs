//! Two nodes, an app on each, and the chart.

use std::process::Command;
use std::time::Duration;

use byway_tests::{Cluster, built, eventually, images};

use crate::helm::{CHART, NAMESPACE, finish, helm};

/// Where the app is.
pub(super) const DEMO: &str = "demo";
pub(super) const SOON: Duration = Duration::from_secs(60);

pub(super) struct Site {
    pub(super) cluster: Cluster,
}

impl Site {
    pub(super) fn open() -> Self {
        let cluster = Cluster::builder().nodes(2).start().unwrap();
        for archive in images().unwrap() {
            cluster.load_image(&archive).unwrap();
        }
        cluster.ask(["create", "namespace", DEMO]).unwrap();
        cluster.ask(["wait", "--for=create", "--timeout=30s", "serviceaccount/default", "-n", DEMO]).unwrap();
        cluster.apply(APP).unwrap();
        cluster.ask(["rollout", "status", "deployment/app", "-n", DEMO, "--timeout=60s"]).unwrap();
        cluster.ask(["wait", "--for=condition=Ready", "pod/client", "-n", DEMO, "--timeout=60s"]).unwrap();
        Self { cluster }
    }

    pub(super) fn helm(&self, args: &[&str]) -> Result<String, String> {
        helm(&self.cluster, args)
    }

    /// Installs the chart with these settings, and waits until all of it is ready. What helm says.
    pub(super) fn install(&self, settings: &[&str]) -> String {
        self.change("install", settings, &["--create-namespace", "--wait", "--timeout", "120s"])
    }

    pub(super) fn install_without_waiting(&self, settings: &[&str]) {
        self.change("install", settings, &[]);
    }

    pub(super) fn upgrade(&self, settings: &[&str]) -> String {
        self.change("upgrade", settings, &["--wait", "--timeout", "120s"])
    }

    pub(super) fn start_upgrade(&self, settings: &[&str]) {
        self.change("upgrade", settings, &[]);
    }

    fn change(&self, what: &str, settings: &[&str], more: &[&str]) -> String {
        let mut args = vec![what, "byway", CHART, "-n", NAMESPACE];
        args.extend(more);
        args.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        self.helm(&args).unwrap_or_else(|e| panic!("{e}\n{}", self.describe()))
    }

    /// What `helm test` runs, from outside.
    pub(super) fn check(&self, timeout: u32) -> Result<String, String> {
        let account = self.cluster.kubeconfig_for(NAMESPACE, "byway-controller", None).unwrap();
        let mut check = Command::new(built("byway-controller"));
        check.args(["check", "--timeout", &timeout.to_string()]);
        finish(check.env("KUBECONFIG", account).env("POD_NAMESPACE", NAMESPACE))
    }

    pub(super) fn preview(&self, name: &str) {
        let object = serde_json::json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": name, "namespace": DEMO },
            "spec": {
                "key": "pr-42", "target": { "kind": "Deployment", "name": "app" }, "image": "localhost/busybox:1",
                "imagePullPolicy": "Never", "env": [{ "name": "WHO", "value": "PREVIEW" }],
            },
        });
        self.cluster.apply(&object.to_string()).unwrap();
    }

    pub(super) fn wait_ready(&self, preview: &str) {
        let preview = format!("preview/{preview}");
        let wait = ["wait", "--for=condition=Ready", &preview, "--timeout=90s", "-n", DEMO];
        self.cluster.ask(wait).unwrap_or_else(|e| panic!("{e}\n{}", self.describe()));
    }

    /// What the app's Service answers; not always at the first try on a busy machine.
    pub(super) fn get(&self, key: Option<&str>) -> String {
        let address = ["get", "service", "app", "-n", DEMO, "-o", "jsonpath={.spec.clusterIP}"];
        let url = format!("http://{}/", self.cluster.ask(address).unwrap());
        let answer = || {
            let mut curl = self.cluster.pod_command(DEMO, "client", "curl").unwrap();
            curl.args(["-sf", "--max-time", "5", &url]);
            if let Some(key) = key {
                curl.args(["-H", &format!("x-byway-key: {key}")]);
            }
            finish(&mut curl).ok()
        };
        eventually(Duration::from_secs(5), answer)
            .unwrap_or_else(|| panic!("no answer\n{}", self.describe()))
            .trim()
            .to_owned()
    }

    /// A field of the DaemonSet.
    pub(super) fn agents(&self, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        self.cluster.ask(["get", "daemonset", "byway-agent", "-n", NAMESPACE, "-o", &path]).unwrap()
    }

    pub(super) fn agent_pods(&self) -> usize {
        self.pods("{.metadata.name}").len()
    }

    pub(super) fn nodes_with_a_ready_agent(&self) -> Vec<String> {
        let ready = self.pods(r#"{.status.conditions[?(@.type=="Ready")].status} {.spec.nodeName}"#);
        let mut nodes: Vec<String> =
            ready.iter().filter_map(|line| line.strip_prefix("True ")).map(str::to_owned).collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }

    fn pods(&self, each: &str) -> Vec<String> {
        let path = format!("jsonpath={{range .items[*]}}{each}{{\"\\n\"}}{{end}}");
        let label = "app.kubernetes.io/component=byway-agent";
        let said = self.cluster.ask(["get", "pods", "-n", NAMESPACE, "-l", label, "-o", &path]).unwrap();
        said.lines().map(str::to_owned).collect()
    }

    /// Until no object of ours is left but the CRDs.
    pub(super) fn nothing_is_left(&self) {
        let left = || {
            let ours = "app.kubernetes.io/name=byway";
            let wide = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";
            let kinds = "daemonsets,deployments,pods,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets,jobs,secrets";
            let asked: [&[&str]; 5] = [
                &["get", wide, "-l", ours, "-o", "name"],
                &["get", kinds, "-n", NAMESPACE, "-l", ours, "-o", "name"],
                &["get", "leases,secrets", "-n", NAMESPACE, "-o", "name"],
                &["get", "noderoutes,previews", "-A", "-o", "name"],
                &[
                    "get",
                    "deployments,services,networkpolicies,pods",
                    "-A",
                    "-l",
                    "byway.dev/preview",
                    "-o",
                    "name",
                ],
            ];
            asked.map(|args| self.cluster.ask(args).unwrap()).concat()
        };
        assert!(
            eventually(SOON, || left().is_empty().then_some(())).is_some(),
            "{}\n{}",
            left(),
            self.describe()
        );
    }

    /// Whether an agent has left a listener in a pod of the app: on 240.0.0.1, as nobody else does.
    pub(super) fn is_listened_for(&self) -> bool {
        let names = ["get", "pods", "-n", DEMO, "-l", "app=app", "-o", "jsonpath={.items[*].metadata.name}"];
        let names = self.cluster.ask(names).unwrap();
        assert!(!names.is_empty());
        names.split_whitespace().any(|pod| {
            let mut cat = self.cluster.pod_command(DEMO, pod, "cat").unwrap();
            let table = finish(cat.arg("/proc/thread-self/net/tcp6")).unwrap();
            table.contains("0000000000000000FFFF0000010000F0:")
        })
    }

    /// All that helps to see why something did not happen.
    pub(super) fn describe(&self) -> String {
        let ask = |args: &[&str]| self.cluster.ask(args).unwrap_or_else(|e| e.to_string());
        let mut text = ask(&["get", "pods,jobs", "-A", "-o", "wide"]);
        text += &ask(&["get", "previews", "-A", "-o", "yaml"]);
        text += &ask(&["get", "events", "-n", NAMESPACE]);
        text += &ask(&["logs", "job/byway-uninstall", "-n", NAMESPACE]);
        for component in ["controller", "agent"] {
            let label = format!("app.kubernetes.io/component=byway-{component}");
            text += &ask(&["logs", "--prefix", "--tail=15", "-n", NAMESPACE, "-l", &label]);
        }
        text
    }
}

/// An app of another user than root on both nodes, and a pod to call from.
const APP: &str = include_str!("app.yaml");
