//! The agent's pod as the chart makes it, with one capability taken away: what it cannot do then.

use byway_tests::{eventually, node_routes, status_of};
use serde_json::{Value, json};

use super::kernel;
use super::site::{DEMO, SOON, Site};
use crate::helm::NAMESPACE;

/// What an agent logs that may not give its sockets away, and one whose connections cannot go straight.
const COMPLAINTS: [&str; 2] = ["cannot give sockets to the app's user", "CAP_NET_RAW"];

/// What is seen without a capability.
enum Without {
    /// Nothing: the kernel has it in another one.
    Nothing,
    /// The node steers nothing.
    Node(&'static str),
    /// The target is not steered.
    Target(&'static str),
    /// All is steered, and the log says what is not right.
    Log(&'static str),
}

pub(super) fn each_is_needed(site: &Site) {
    // What it is for on every kernel is shown where connections are closed: `old_connections/drain.rs`.
    let straight = Without::Log(COMPLAINTS[1]);
    let net_admin = if kernel() >= (6, 9) { straight } else { Without::Node("NotPermitted") };
    let cases = [
        ("", Without::Nothing),
        ("SYS_ADMIN", Without::Node("NotPermitted")),
        ("SYS_PTRACE", Without::Target("NoProcess")),
        ("NET_BIND_SERVICE", Without::Target("AttachFailed")),
        ("CHOWN", Without::Log(COMPLAINTS[0])),
        ("NET_RAW", Without::Log(COMPLAINTS[1])),
        ("NET_ADMIN", net_admin),
    ];
    let granted = granted(site);
    assert_eq!(granted.len(), cases.len() - 1, "each that is granted is tried: {granted:?}");
    // All at a time.
    let agents: Vec<Agent> = cases.iter().map(|(capability, _)| Agent::start(site, capability)).collect();
    for (agent, (capability, without)) in agents.iter().zip(&cases) {
        let status = eventually(SOON, || agent.status(site));
        let status = status.unwrap_or_else(|| panic!("{capability}: no status\n{}", agent.log(site)));
        let log = agent.log(site);
        let seen = format!("without {capability:?}: {status:#}\n{log}");
        let failures = status["previews"][0]["failures"].as_array().map_or(0, Vec::len);
        for complaint in COMPLAINTS {
            let is_due = matches!(without, Without::Log(due) if *due == complaint);
            assert_eq!(log.contains(complaint), is_due, "{complaint}: {seen}");
        }
        match without {
            Without::Node(reason) => assert_eq!(status["failure"]["reason"], *reason, "{seen}"),
            Without::Target(reason) => {
                assert_eq!(status["previews"][0]["failures"][0]["reason"], *reason, "{seen}");
            }
            Without::Nothing | Without::Log(_) => {
                assert_eq!((failures, &status["previews"][0]["revision"]), (0, &json!("r1")), "{seen}");
            }
        }
    }
    for agent in agents {
        agent.end(site);
    }
}

fn granted(site: &Site) -> Vec<String> {
    let path = ".spec.template.spec.containers[0].securityContext.capabilities.add";
    serde_json::from_str(&site.agents(path)).unwrap()
}

/// An agent that takes itself for that of another node, so that it has routes of its own, and a pod to steer.
struct Agent {
    name: String,
}

impl Agent {
    fn start(site: &Site, without: &str) -> Self {
        let name =
            format!("without-{}", without.to_lowercase().replace('_', "-")).trim_end_matches('-').to_owned();
        let node = site.cluster.node(0).name();
        let mut spec: Value = serde_json::from_str(&site.agents(".spec.template.spec")).unwrap();
        spec["nodeName"] = node.into();
        let container = &mut spec["containers"][0];
        container["env"][0] = json!({ "name": "NODE_NAME", "value": name });
        let kept: Vec<String> = granted(site).into_iter().filter(|it| it != without).collect();
        container["securityContext"]["capabilities"]["add"] = json!(kept);
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        });
        let mut target: Value = serde_json::from_str(
            &site
                .cluster
                .ask(["get", "deployment", "app", "-n", DEMO, "-o", "jsonpath={.spec.template.spec}"])
                .unwrap(),
        )
        .unwrap();
        target["nodeName"] = node.into();
        target.as_object_mut().unwrap().remove("topologySpreadConstraints");
        let target = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": DEMO }, "spec": target,
        });
        for object in [&target, &pod] {
            site.cluster.apply(&object.to_string()).unwrap();
        }
        let ready = ["wait", "--for=condition=Ready", "--timeout=60s", "-n", DEMO, &format!("pod/{name}")];
        site.cluster.ask(ready).unwrap_or_else(|e| panic!("{e}\n{}", site.describe()));
        let of = |namespace: &str| -> Value {
            serde_json::from_str(
                &site.cluster.ask(["get", "pod", &name, "-n", namespace, "-o", "json"]).unwrap(),
            )
            .unwrap()
        };
        let (steered, agent) = (of(DEMO), of(NAMESPACE));
        let ips: Vec<&Value> =
            steered["status"]["podIPs"].as_array().unwrap().iter().map(|ip| &ip["ip"]).collect();
        let table = json!({
            "previews": [{ "name": "demo/a", "revision": "r1", "key": "pr-1", "backends": [{ "ips": ["10.9.9.9"] }] }],
            "targets": [{
                "name": name, "podUid": steered["metadata"]["uid"], "ips": ips, "ports": [8080], "previews": ["demo/a"],
            }],
        });
        let routes = node_routes(&name, agent["metadata"]["uid"].as_str(), &table);
        site.cluster.apply(&routes.to_string()).unwrap();
        Self { name }
    }

    /// Once it has said something about its routes.
    fn status(&self, site: &Site) -> Option<Value> {
        let object = site.cluster.ask(["get", "noderoutes", &self.name, "-o", "json"]).ok()?;
        let status = status_of(serde_json::from_str(&object).ok()?);
        (status["observedGeneration"] == 1 || !status["failure"].is_null()).then_some(status)
    }

    fn log(&self, site: &Site) -> String {
        site.cluster.ask(["logs", &self.name, "-n", NAMESPACE]).unwrap_or_else(|e| e.to_string())
    }

    fn end(&self, site: &Site) {
        let delete = |kind: &str, more: &[&str]| {
            let args = [&["delete", kind, &self.name, "--wait=false"], more].concat();
            site.cluster.ask(args).unwrap();
        };
        delete("noderoutes", &[]);
        delete("pod", &["-n", NAMESPACE, "--force", "--grace-period=0"]);
        delete("pod", &["-n", DEMO, "--force", "--grace-period=0"]);
    }
}
