//! Three nodes with Byway installed, and a shop of two services.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::time::Duration;

use byway_api::NodeRoutes;
use byway_tests::shop::{self, Clients, Pool};
use byway_tests::{ApiServer, Cluster, Scratch, eventually, images};
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where Byway is installed.
const BYWAY: &str = "byway";
const NAMESPACE: &str = "shop";

pub(crate) struct Shop {
    pub(crate) cluster: Cluster,
    program: PathBuf,
    /// Stands between the agents and the API server.
    late: Mutex<Option<Child>>,
    /// Nodes that were killed.
    dead: Mutex<Vec<String>>,
}

impl Shop {
    /// Starts all of it.
    pub(crate) fn open() -> Self {
        let cluster = Cluster::builder().nodes(3).start().unwrap();
        let program = shop::program().unwrap();
        let scratch = Scratch::new("images").unwrap();
        for version in ["v1", "v2", "v3"] {
            cluster.load_image(&shop::image(&program, version, &scratch).unwrap()).unwrap();
        }
        for archive in images().unwrap() {
            cluster.load_image(&archive).unwrap();
        }
        let shop = Self { cluster, program, late: Mutex::default(), dead: Mutex::default() };
        shop.install();
        shop.cluster.ask(["create", "namespace", NAMESPACE]).unwrap();
        shop.cluster.apply(SERVICES).unwrap();
        for what in ["front", "back"] {
            shop.rolled_out(what);
        }
        shop.ask(&["wait", "--for=condition=Ready", "pod/client", "--timeout=60s"]);
        shop
    }

    fn install(&self) {
        let chart = Path::new(ROOT).join("charts/byway");
        let mut helm = self.cluster.helm().unwrap();
        helm.args(["install", "byway"]).arg(chart).args(["-n", BYWAY, "--create-namespace"]);
        let output = helm.args(["--wait", "--timeout", "120s"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", self.byway(&["describe", "pods"]));
    }

    /// What kubectl prints of the shop's namespace.
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        self.cluster.ask(["-n", NAMESPACE].iter().chain(args)).unwrap()
    }

    fn byway(&self, args: &[&str]) -> String {
        self.cluster.ask(["-n", BYWAY].iter().chain(args)).unwrap_or_else(|e| e.to_string())
    }

    /// Applies a preview of a service.
    pub(crate) fn preview(&self, target: &str, key: &str, image: &str, version: &str) {
        self.cluster
            .apply(&format!(
                "{{apiVersion: byway.dev/v1alpha1, kind: Preview, metadata: {{name: {target}, namespace: {NAMESPACE}}}, spec: \
                 {{key: {key}, target: {{kind: Deployment, name: {target}}}, image: '{image}', \
                 args: [serve, {target}, {version}]}}}}"
            ))
            .unwrap();
    }

    pub(crate) fn wait_ready(&self, preview: &str) {
        let wait = [
            "wait",
            "--for=condition=Ready",
            &format!("preview/{preview}"),
            "--timeout=90s",
            "-n",
            NAMESPACE,
        ];
        self.cluster.ask(wait).unwrap_or_else(|e| panic!("{e}\n{}", self.describe(preview)));
    }

    /// What the condition Warnings says.
    pub(crate) fn warning(&self, preview: &str) -> String {
        let path = r#"jsonpath={.status.conditions[?(@.type=="Warnings")].message}"#;
        self.ask(&["get", "preview", preview, "-o", path])
    }

    /// All that helps to see why something did not happen.
    pub(crate) fn describe(&self, preview: &str) -> String {
        let mut text = self.ask(&["get", "preview", preview, "-o", "yaml"]);
        text += &self.ask(&["get", "pods", "-o", "wide"]);
        text += &self.byway(&["get", "pods", "-o", "wide"]);
        text += &self.byway(&["get", "noderoutes", "-o", "yaml"]);
        for component in ["controller", "agent"] {
            let label = format!("app.kubernetes.io/component=byway-{component}");
            text += &self.byway(&["logs", "--prefix", "--tail=15", "-l", &label]);
        }
        text
    }

    pub(crate) fn delete(&self, preview: &str) {
        self.ask(&["delete", "preview", preview, "--wait=true"]);
    }

    pub(crate) fn rolled_out(&self, deployment: &str) {
        self.ask(&["rollout", "status", &format!("deployment/{deployment}"), "--timeout=120s"]);
    }

    /// What a service answers.
    pub(crate) fn get(&self, service: &str, key: Option<&str>) -> String {
        let answer = eventually(Duration::from_secs(3), || self.try_get(service, key));
        answer.unwrap_or_else(|| panic!("{service} does not answer\n{}", self.describe("front")))
    }

    /// The same over TLS.
    pub(crate) fn get_tls(&self, service: &str, key: Option<&str>) -> Option<String> {
        self.curl(&format!("https://{}/", self.address(service)), key)
    }

    /// Whether so many pods are steered ahead of any preview, as far as their agents have said.
    pub(crate) fn armed(&self, pods: usize) -> bool {
        let mut list: Value = serde_json::from_str(&self.ask(&["get", "noderoutes", "-o", "json"])).unwrap();
        let all: Vec<NodeRoutes> = serde_json::from_value(list["items"].take()).unwrap();
        let heard = all.iter().filter(|it| {
            let said = it.status.as_ref().and_then(|status| status.observed_generation);
            said == it.metadata.generation
        });
        let targets = heard.flat_map(|it| it.spec.read().unwrap().targets);
        targets.filter(|target| target.armed).count() == pods
    }

    pub(crate) fn try_get(&self, service: &str, key: Option<&str>) -> Option<String> {
        self.curl(&format!("http://{}/", self.address(service)), key)
    }

    /// What `service` answers when it is asked to call `other`.
    pub(crate) fn call(&self, service: &str, other: &str, scheme: &str, key: Option<&str>) -> String {
        let url = format!("http://{}/call?url={scheme}://{}/", self.address(service), self.address(other));
        self.curl(&url, key).unwrap_or_else(|| panic!("{url}\n{}", self.describe(service)))
    }

    pub(crate) fn curl(&self, url: &str, key: Option<&str>) -> Option<String> {
        let mut curl = self.cluster.pod_command(NAMESPACE, "client", "curl").unwrap();
        curl.args(["-skf", "--max-time", "5", url]);
        if let Some(key) = key {
            curl.args(["-H", &format!("baggage: byway-key={key}")]);
        }
        let output = curl.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    fn address(&self, service: &str) -> String {
        self.ask(&["get", "service", service, "-o", "jsonpath={.spec.clusterIP}"])
    }

    pub(crate) fn load(&self, service: &str, key: Option<&str>) -> Clients {
        let url = format!("http://{}/", self.address(service));
        let mut command = self.cluster.pod_command(NAMESPACE, "client", &self.program).unwrap();
        command.args(["load", &url, key.unwrap_or("-"), "4"]);
        Clients::start(command).unwrap()
    }

    /// A client that keeps its connection.
    pub(crate) fn pool(&self, service: &str, key: &str) -> Pool {
        let mut command = self.cluster.pod_command(NAMESPACE, "client", &self.program).unwrap();
        command.args(["pool", &format!("http://{}/", self.address(service)), key]);
        Pool::start(command).unwrap()
    }

    /// Puts a slow line between agents and API server, or takes it away.
    pub(crate) fn delay_agents(&self, delay: Duration) {
        let (host, port) = ApiServer::FROM_INSIDE;
        let mut late = self.late.lock().unwrap();
        if let Some(mut before) = late.take() {
            let _ = before.kill();
            let _ = before.wait();
        }
        let mut set = vec!["set".to_owned(), "env".to_owned(), "daemonset/byway-agent".to_owned()];
        if delay.is_zero() {
            set.extend(["KUBERNETES_SERVICE_HOST-", "KUBERNETES_SERVICE_PORT-"].map(str::to_owned));
        } else {
            let (from, to) = (format!("{host}:{}", port + 1), format!("{host}:{port}"));
            let mut command = self.cluster.api_server().unwrap().command_beside(&self.program).unwrap();
            let child =
                command.args(["late", &from, &to, &format!("{}ms", delay.as_millis())]).spawn().unwrap();
            *late = Some(child);
            set.push(format!("KUBERNETES_SERVICE_HOST={host}"));
            set.push(format!("KUBERNETES_SERVICE_PORT={}", port + 1));
        }
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        self.byway(&set);
        let rolled = self.byway(&["rollout", "status", "daemonset/byway-agent", "--timeout=180s"]);
        assert!(rolled.contains("successfully rolled out"), "{rolled}");
    }

    /// `kill -9` of every agent's processes; their containers are started again.
    pub(crate) fn kill_agents(&self) {
        let label = "app.kubernetes.io/component=byway-agent";
        let uids = self.byway(&["get", "pods", "-l", label, "-o", "jsonpath={.items[*].metadata.uid}"]);
        let pods: Vec<String> = uids.split_whitespace().map(|uid| format!("pod{uid}")).collect();
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
        let agents = processes.filter(|process| {
            let is_agent =
                fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim() == "byway-agent");
            let cgroups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
            is_agent && pods.iter().any(|pod| cgroups.contains(pod))
        });
        let pids: Vec<i32> = agents.filter_map(|it| it.file_name()?.to_str()?.parse().ok()).collect();
        assert!(!pids.is_empty(), "no agent runs in {pods:?}");
        for pid in pids {
            // The watchdog may have taken its child with it already.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    pub(crate) fn controllers(&self, replicas: u32) {
        self.byway(&["scale", "deployment/byway-controller", &format!("--replicas={replicas}")]);
        let label = "app.kubernetes.io/component=byway-controller";
        let settled = eventually(Duration::from_secs(60), || {
            let nodes = "jsonpath={range .items[*]}{.spec.nodeName}{\"\\n\"}{end}";
            let nodes = self.byway(&["get", "pods", "-l", label, "-o", nodes]);
            // Those of a dead node stay, since nobody there can say that they have ended.
            let dead = self.dead.lock().unwrap();
            let living = nodes.lines().filter(|node| !dead.iter().any(|it| it == node));
            (living.count() == replicas as usize).then_some(())
        });
        assert!(settled.is_some(), "{}", self.byway(&["get", "pods", "-o", "wide"]));
    }

    /// Lets a preview end so long from now.
    pub(crate) fn end_in(&self, preview: &str, left: Duration) {
        let ttl = SignedDuration::from_hours(2);
        let renewed = Timestamp::now() - ttl + SignedDuration::try_from(left).unwrap();
        let patch =
            format!(r#"{{"spec":{{"ttl":"2h","renewedAt":"{}"}}}}"#, renewed.strftime("%Y-%m-%dT%H:%M:%SZ"));
        self.ask(&["patch", "preview", preview, "--type=merge", "-p", &patch]);
    }

    /// Kills a node on which neither a preview nor the client runs. Its name.
    pub(crate) fn kill_a_node_without_previews(&self) -> String {
        let node_of = |pods: &[&str]| {
            let mut args = vec!["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"];
            args.extend(pods);
            self.ask(&args)
        };
        let spared = node_of(&["-l", "byway.dev/preview"]) + " " + &node_of(&["-l", "app=client"]);
        let nodes = self.cluster.nodes();
        let victim =
            nodes.iter().find(|node| !spared.contains(node.name())).expect("three nodes, two spared");
        victim.kill();
        self.dead.lock().unwrap().push(victim.name().to_owned());
        victim.name().to_owned()
    }

    /// Whether no pod that runs on a dead node still passes for ready.
    pub(crate) fn nobody_waits_for_the_dead(&self) -> bool {
        let path = r#"jsonpath={range .items[*]}{.spec.nodeName} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
        let pods = self.ask(&["get", "pods", "-l", "app=front", "-o", path]);
        let dead = self.dead.lock().unwrap();
        !pods.lines().any(|line| dead.iter().any(|node| line == format!("{node} True")))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(mut late) = self.late.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            let _ = late.kill();
            let _ = late.wait();
        }
    }
}

/// Two services with an endpoint in clear and one with TLS, on every node, and a pod to call from.
const SERVICES: &str = include_str!("services.yaml");
