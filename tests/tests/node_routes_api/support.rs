//! A node whose agent takes its routes from a real API server, and pods that it finds by their UID.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use byway_tests::{
    AgentBuilder, App, Cluster, Http, Pod, Running, Scratch, Stage, eventually, node_routes, status_of,
};
use serde_json::{Value, json};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A cluster with a node object of its own for each test.
pub(crate) struct Api {
    pub(crate) stage: Stage,
    pub(crate) cluster: Cluster,
    _app: App,
    pub(crate) state: Scratch,
    pods: Vec<(String, UidPod)>,
    _way: Way,
}

impl Api {
    /// With the app's pod as something that an agent can find.
    pub(crate) fn new() -> Result<Self> {
        let cluster = Cluster::control_plane()?;
        cluster.apply(include_str!("../../../charts/byway/files/crds/noderoutes.yaml"))?;
        cluster.ask(["wait", "--for=condition=Established", "crd/noderoutes.byway.dev", "--timeout=30s"])?;
        let stage = Stage::new()?;
        let app = stage.start_app()?;
        let way = Way::new(stage.net.node(), &cluster)?;
        let mut api =
            Self { cluster, _app: app, state: Scratch::new("state")?, pods: vec![], _way: way, stage };
        let pod = UidPod::new(&api.stage.app)?;
        api.pods.push((pod.uid.clone(), pod));
        Ok(api)
    }

    /// UID of the app's pod.
    pub(crate) fn app_uid(&self) -> &str {
        &self.pods[0].0
    }

    /// An agent that is the pod `uid`, and remembers its routes.
    pub(crate) fn agent(&self, uid: &str) -> AgentBuilder<'_> {
        self.stage.agent().env("POD_UID", uid).args(["--state-dir"]).args([self.state.path()])
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    pub(crate) fn name(&self) -> &str {
        self.stage.net.node_name()
    }

    /// A preview whose backend is the stage's preview pod.
    pub(crate) fn preview(&self, name: &str, revision: &str, key: &str) -> Value {
        json!({ "name": name, "revision": revision, "key": key, "backends": [{ "ips": self.stage.preview.ips() }] })
    }

    /// The app's pod, steered for these previews.
    pub(crate) fn target(&self, previews: &[&str]) -> Value {
        json!({
            "name": "demo/app", "podUid": self.app_uid(), "ips": self.stage.app.ips(),
            "ports": [Stage::PORT], "previews": previews,
        })
    }

    /// The usual table, with its agent: one preview of the app.
    pub(crate) fn spec(&self, agent: &str, revision: &str) -> Value {
        json!({
            "agentPodUid": agent,
            "previews": [self.preview("demo/redesign", revision, Stage::KEY)],
            "targets": [self.target(&["demo/redesign"])],
        })
    }

    /// Makes the object be so, as the controller does. Its generation.
    pub(crate) fn publish(&self, spec: &Value) -> Result<i64> {
        let object = node_routes(self.name(), spec["agentPodUid"].as_str(), spec);
        self.cluster.apply(&object.to_string())?;
        self.object()?["metadata"]["generation"].as_i64().context("no generation")
    }

    pub(crate) fn object(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.cluster.ask(["get", "noderoutes", self.name(), "-o", "json"])?)?)
    }

    pub(crate) fn delete(&self) -> Result<()> {
        self.cluster.ask(["delete", "noderoutes", self.name(), "--wait=true"]).map(drop)
    }

    /// Waits for a status that `holds`.
    pub(crate) fn wait_status(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + SOON;
        loop {
            let status = status_of(self.object()?);
            if holds(&status) {
                return Ok(status);
            }
            ensure!(Instant::now() < until, "{what}: {status:#}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the acknowledgement of a generation.
    pub(crate) fn wait_ack(&self, generation: i64) -> Result<Value> {
        self.wait_status("no acknowledgement", |status| status["observedGeneration"] == generation)
    }

    /// Who answers a request with this key: the first word of what it says.
    pub(crate) fn answers(&self, key: Option<&str>) -> Result<String> {
        let to = SocketAddr::new(self.stage.app.ipv4.into(), Stage::PORT);
        let text = self.stage.ask(to, key)?.text();
        Ok(text.split(' ').next().unwrap_or_default().to_owned())
    }

    /// Whether the preview answers this key, if not at the first try on a busy machine: a late heartbeat passes a
    /// connection on to the app.
    pub(crate) fn is_steered(&self, key: &str) -> bool {
        let steered = || (self.answers(Some(key)).ok()? == "PREVIEW").then_some(());
        eventually(Duration::from_secs(1), steered).is_some()
    }

    pub(crate) fn wait_answers(&self, key: &str, who: &str) -> Result<()> {
        let answered = || (self.answers(Some(key)).ok()? == who).then_some(());
        eventually(SOON, answered).with_context(|| format!("{key} is not answered by {who}"))
    }

    /// A connection to the app's pod that is kept.
    pub(crate) fn connect(&self) -> Result<Http> {
        Ok(Http::new(self.stage.client.connect((self.stage.app.ipv4, Stage::PORT))?))
    }

    /// Another pod that an agent can find.
    pub(crate) fn pod(&mut self, pod: &Pod) -> Result<String> {
        let pod = UidPod::new(pod)?;
        let uid = pod.uid.clone();
        self.pods.push((uid.clone(), pod));
        Ok(uid)
    }

    /// Ends all processes of a pod.
    pub(crate) fn end_pod(&mut self, uid: &str) {
        self.pods.retain(|(other, _)| other != uid);
    }
}

/// A pod that can be found by its UID, as kubelet leaves it: a process that holds the namespace, in a cgroup that is
/// named after the pod.
pub(crate) struct UidPod {
    pub(crate) uid: String,
    cgroup: PathBuf,
    _pause: Running,
    helper: Running,
}

impl UidPod {
    pub(crate) fn new(pod: &Pod) -> Result<Self> {
        let uid = new_uid();
        let cgroup = cgroup_root()?.join(format!("byway-tests/pod{uid}"));
        fs::create_dir_all(&cgroup)?;
        // As a runtime does it: first a helper in the node's network, then who holds the pod's.
        let helper = Running::spawn("helper", Command::new("sleep").arg("100000").process_group(0))?;
        let pause = Running::spawn("pause", pod.command("sleep").arg("100000"))?;
        for running in [&helper, &pause] {
            fs::write(cgroup.join("cgroup.procs"), running.pid().to_string())?;
        }
        Ok(Self { uid, cgroup, _pause: pause, helper })
    }
}

impl Drop for UidPod {
    fn drop(&mut self) {
        self.helper.kill();
        self._pause.kill();
        eventually(SOON, || fs::remove_dir(&self.cgroup).ok());
    }
}

fn new_uid() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default().trim().to_owned()
}

/// A hierarchy that processes can be moved in without touching what they may use.
fn cgroup_root() -> Result<PathBuf> {
    let roots = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let found = roots.iter().map(Path::new).find(|root| root.join("cgroup.procs").exists());
    found.map(Path::to_owned).context("no cgroup hierarchy to make a pod in")
}

/// The way from the node's namespace to the API server, at the port that the kubeconfig names.
struct Way {
    listener: Arc<TcpListener>,
    ended: Arc<AtomicBool>,
}

impl Way {
    fn new(node: &byway_tests::Netns, cluster: &Cluster) -> Result<Self> {
        let server =
            cluster.ask(["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"])?;
        let Some(port) = server.trim().strip_prefix("https://127.0.0.1:").and_then(|port| port.parse().ok())
        else {
            bail!("the API server is at {server}, and the tests know the way to 127.0.0.1 only");
        };
        let api = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let listener = Arc::new(node.run(move || TcpListener::bind(api))?);
        let ended = Arc::new(AtomicBool::default());
        let (accepting, end) = (listener.clone(), ended.clone());
        thread::spawn(move || {
            while let Ok((client, _)) = accepting.accept() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                thread::spawn(move || carry(&client, api));
            }
        });
        Ok(Self { listener, ended })
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = socket2::SockRef::from(&*self.listener).shutdown(Shutdown::Both);
    }
}

/// Both ways until one has ended; then the connection has.
fn carry(client: &TcpStream, to: SocketAddr) {
    let Ok(server) = TcpStream::connect(to) else { return };
    // Small pieces must not wait for each other: times are measured over this way.
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &server));
        copy(&server, client);
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
