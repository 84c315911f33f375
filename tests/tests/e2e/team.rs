//! A team with an app in a cluster, its clients, and the plugin.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use byway_tests::shop::{self, Clients};
use byway_tests::{Cluster, Loaded, Scratch, built, eventually, images};
use jiff::{SignedDuration, Timestamp};

use crate::cluster::Place;

/// What a request carries.
pub(crate) const KEY: &str = "x-traffic: key-my-feature";
const APP: &str = include_str!("app.yaml");
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/byway");
/// Where the app is.
pub(crate) const STAGING: &str = "staging";
/// Where Byway is installed.
pub(crate) const BYWAY: &str = "byway";

/// What helm leaves behind on purpose.
const CRDS: [&str; 2] = ["previews.byway.dev", "noderoutes.byway.dev"];

pub(crate) struct Team {
    place: Place,
    scratch: Scratch,
}

impl Team {
    /// Installs Byway and the app.
    pub(crate) fn gather(place: Place) -> Self {
        place.must_be_free(&CRDS, &[STAGING, BYWAY]);
        // From here on what is there is ours, and dropped with it.
        let team = Self { place, scratch: Scratch::new("team").unwrap() };
        let program = shop::program().unwrap();
        for version in ["v1", "v2", "v3"] {
            team.place.load_image(&shop::image(&program, version, &team.scratch).unwrap());
        }
        images().unwrap().iter().for_each(|archive| team.place.load_image(archive));
        team.cluster().apply(APP).unwrap();
        team.helm(&[
            "install",
            "byway",
            CHART,
            "-n",
            BYWAY,
            "--create-namespace",
            "--wait",
            "--timeout",
            "120s",
        ]);
        team.rolled_out();
        team.ask(&["wait", "--for=condition=Ready", "pod/client", "--timeout=60s"]);
        team
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.place.0
    }

    fn helm(&self, args: &[&str]) {
        let output = self.cluster().helm().unwrap().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}\n{}", self.describe());
    }

    pub(crate) fn upgrade(&self, settings: &[&str]) {
        let mut args = vec!["upgrade", "byway", CHART, "-n", BYWAY];
        args.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        self.helm(&args);
    }

    /// What kubectl prints of the app's namespace.
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        self.cluster().ask(["-n", STAGING].iter().chain(args)).unwrap()
    }

    pub(crate) fn byway(&self, args: &[&str]) -> String {
        self.cluster().ask(["-n", BYWAY].iter().chain(args)).unwrap_or_else(|e| e.to_string())
    }

    /// All that helps to see why something did not happen.
    pub(crate) fn describe(&self) -> String {
        let mut text = self.byway(&["get", "previews,pods,deployments", "-A", "-o", "wide"]);
        text += &self.byway(&["get", "previews,noderoutes", "-A", "-o", "yaml"]);
        for component in ["controller", "agent"] {
            let label = format!("app.kubernetes.io/component=byway-{component}");
            text += &self.byway(&["logs", "--prefix", "--tail=15", "-l", &label]);
        }
        text
    }

    pub(crate) fn rolled_out(&self) {
        self.ask(&["rollout", "status", "deployment/my-app", "--timeout=120s"]);
    }

    pub(crate) fn agents_rolled_out(&self) {
        let rolled = self.byway(&["rollout", "status", "daemonset/byway-agent", "--timeout=180s"]);
        assert!(rolled.contains("successfully rolled out"), "{rolled}");
    }

    /// The configuration that mirrord announced its previews with; only the image is another.
    pub(crate) fn start(&self, version: &str) -> String {
        let file = self.scratch.path().join("mirrord.json");
        let config = serde_json::json!({
            "key": "key-my-feature",
            "target": { "path": "deployment/my-app", "namespace": STAGING },
            "feature": {
                "preview": { "image": format!("localhost/shop:{version}"), "ttl_mins": 60 },
                "network": { "incoming": { "mode": "steal", "http_filter": { "header_filter": "x-traffic: {{ key }}" } } },
            },
        });
        std::fs::write(&file, config.to_string()).unwrap();
        self.preview(&["start", "-f", file.to_str().unwrap()])
    }

    /// A file of whoever calls the plugin.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What `kubectl preview` prints.
    pub(crate) fn preview(&self, args: &[&str]) -> String {
        let output = self.plugin(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}\n{}", self.describe());
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn plugin(&self, args: &[&str]) -> Command {
        let mut command = self.kubectl_with_plugin();
        command.args(["preview", args[0], "-n", STAGING]).args(&args[1..]);
        command
    }

    pub(crate) fn kubectl_with_plugin(&self) -> Command {
        let mut command = self.cluster().kubectl();
        // As kubectl finds its plugins.
        let folder = built("kubectl-preview").parent().unwrap().to_path_buf();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path))).unwrap();
        command.env("PATH", path).env_remove("BYWAY_KEY");
        command
    }

    /// `kubectl preview run`: its exit code, and what the command printed.
    pub(crate) fn run(&self, options: &[&str], command: &[&str]) -> (i32, String) {
        let output = self.plugin(&[options, command].concat()).output().unwrap();
        let code = output.status.code().expect("it was not killed");
        assert!(code < 100, "{}", String::from_utf8_lossy(&output.stderr));
        (code, String::from_utf8(output.stdout).unwrap())
    }

    /// Kills it while its command runs.
    pub(crate) fn killed_run(&self, options: &[&str]) {
        let mark = self.scratch.path().join("running");
        let script = format!("touch {}; sleep 30", mark.display());
        let mut child =
            self.plugin(&[options, &["sh", "-c", &script]].concat()).stdout(Stdio::null()).spawn().unwrap();
        let runs = eventually(Duration::from_secs(60), || mark.exists().then_some(()));
        assert!(runs.is_some(), "{}", self.describe());
        child.kill().unwrap(); // SIGKILL: kubectl becomes its plugin, so it is that
        child.wait().unwrap();
    }

    /// Keys of all Previews.
    pub(crate) fn previews(&self) -> Vec<String> {
        self.field("{range .items[*]}{.status.key} {end}").split_whitespace().map(str::to_owned).collect()
    }

    /// Of all Previews.
    pub(crate) fn field(&self, path: &str) -> String {
        self.ask(&["get", "previews", "-o", &format!("jsonpath={path}")])
    }

    /// As if it had been started long ago.
    pub(crate) fn end_now(&self) {
        let begun = Timestamp::now() - SignedDuration::from_hours(1) + SignedDuration::from_secs(2);
        let begun = begun.strftime("%Y-%m-%dT%H:%M:%SZ");
        let patch = format!(r#"{{"spec":{{"renewedAt":"{begun}"}}}}"#);
        let name = self.field("{.items[0].metadata.name}");
        self.ask(&["patch", "preview", &name, "--type=merge", "-p", &patch]);
        let ended = eventually(Duration::from_secs(30), || {
            (self.field("{.items[0].status.phase}") == "Expired").then_some(())
        });
        assert!(ended.is_some(), "{}", self.describe());
    }

    /// The app's Service, once for each family.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let ips = self.ask(&["get", "service", "my-app", "-o", "jsonpath={.spec.clusterIPs[*]}"]);
        let ips: Vec<String> = ips.split_whitespace().map(str::to_owned).collect();
        assert!(ips.len() == 2 || !self.cluster().is_ours(), "{ips:?}");
        ips.iter().map(|ip| if ip.contains(':') { format!("[{ip}]") } else { ip.clone() }).collect()
    }

    /// What the app answers to another pod.
    pub(crate) fn get(&self, address: &str, header: &str) -> String {
        let url = format!("http://{address}/");
        let get = || self.cluster().ask(self.in_client(&["get", &url, header])).ok();
        let answer = eventually(Duration::from_secs(5), get);
        answer.unwrap_or_else(|| panic!("no answer\n{}", self.describe())).trim().to_owned()
    }

    /// Waits until a request with the key is answered so.
    pub(crate) fn wait_keyed(&self, wanted: &str) {
        self.wait_answer(KEY, wanted);
    }

    /// The same with another header.
    pub(crate) fn wait_answer(&self, header: &str, wanted: &str) {
        let address = &self.addresses()[0];
        let answered =
            eventually(Duration::from_secs(90), || (self.get(address, header) == wanted).then_some(()));
        assert!(answered.is_some(), "{}", self.describe());
    }

    pub(crate) fn load(&self, header: &str) -> Clients {
        let url = format!("http://{}/", self.addresses()[0]);
        let mut command = self.cluster().kubectl();
        command.args(self.in_client(&["load", &url, header, "4"]));
        Clients::start(command).unwrap()
    }

    fn in_client(&self, args: &[&str]) -> Vec<String> {
        let exec = ["exec", "-i", "-n", STAGING, "client", "--", "/shop"];
        exec.iter().chain(args).map(|arg| (*arg).to_owned()).collect()
    }

    /// Nothing of it is left: no object, and on nodes of our own nothing in the kernel.
    pub(crate) fn uninstall(&self) {
        let nodes: Vec<&str> = self.cluster().nodes().iter().map(byway_tests::Node::name).collect();
        let loaded: Vec<Loaded> = nodes.iter().map(|node| Loaded::on(node)).collect();
        assert!(loaded.iter().all(|it| !it.is_empty()));
        self.helm(&["uninstall", "byway", "-n", BYWAY, "--wait", "--timeout", "120s"]);
        let left = self.cluster().ask(["get", "previews,noderoutes", "-A", "-o", "name"]).unwrap();
        assert!(left.is_empty(), "{left}");
        for (node, before) in nodes.iter().zip(&loaded) {
            let gone = || before.left().is_empty().then_some(());
            assert!(eventually(Duration::from_secs(30), gone).is_some(), "{node}: {:?}", before.left());
        }
        assert_eq!(self.get(&self.addresses()[0], KEY), "app v1");
    }
}

/// A cluster that stays is left as it was found, also after a failure.
impl Drop for Team {
    fn drop(&mut self) {
        if self.cluster().is_ours() {
            return;
        }
        let uninstall = |how: &[&str]| {
            let args = [&["uninstall", "byway", "-n", BYWAY, "--ignore-not-found"], how].concat();
            let done = self.cluster().helm().map(|mut helm| helm.args(args).output());
            matches!(done, Ok(Ok(output)) if output.status.success())
        };
        if !uninstall(&["--wait", "--timeout", "60s"]) {
            uninstall(&["--no-hooks"]);
        }
        let delete = |kind: &str, names: &[&str]| {
            let args = [&["delete", kind, "--ignore-not-found", "--timeout=120s"], names].concat();
            if let Err(error) = self.cluster().ask(args) {
                eprintln!("{names:?} may be left in the cluster: {error}");
            }
        };
        delete("crd", &CRDS);
        delete("namespace", &[STAGING, BYWAY]);
    }
}
