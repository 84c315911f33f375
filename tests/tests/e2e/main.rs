//! A team's day on a real cluster, with helm, kubectl and the plugin alone: from an installation to its end.
//!
//! On clusters of its own, with both ways of kube-proxy; or on the one that `KUBECONFIG` names, where the images have to be
//! loaded first: `BYWAY_LOAD_IMAGE` is a command that gets the path of an archive, e.g. `kind load image-archive`.

mod cluster;
mod forge;
mod jobs;
mod pipeline;
mod team;

use std::time::{Duration, Instant};

use byway_tests::{ProxyMode, eventually, needs_root};
use cluster::Place;
use team::{KEY, Team};

#[test]
fn a_day_with_kube_proxy_in_nftables_mode() {
    if Place::is_given() || !needs_root() {
        a_day(&Team::gather(Place::given_or(ProxyMode::Nftables)));
    }
}

#[test]
fn a_day_with_kube_proxy_in_iptables_mode() {
    // A cluster that was given has whatever it has.
    if !Place::is_given() && !needs_root() {
        a_day(&Team::gather(Place::given_or(ProxyMode::Iptables)));
    }
}

/// One test: nodes, images and an installation take half a minute to come up.
fn a_day(team: &Team) {
    step("start from the mirrord.json of mirrord's announcement", || start(team));
    step("keyed and unkeyed requests, over IPv4 and IPv6", || keyed_and_unkeyed(team));
    step("status, list and explain", || status(team));
    step("doctor, of agents that steer", || doctor(team));
    step("a new image under load", || new_image(team));
    step("the target gets another replica", || scale_up(team));
    step("an agent's pod is deleted", || agent_deleted(team));
    step("the agents are rolled under load", || agents_rolled(team));
    step("run, as a CI job would", || run(team));
    step("run, with the rights of the chart's role for pipelines", || pipeline(team));
    step("the Action, from push to push", || jobs::on_github(team, &pipeline::kubeconfig(team)));
    step("the GitLab template", || jobs::on_gitlab(team, &pipeline::kubeconfig(team)));
    step("one that sleeps, with a file of its own", || asleep(team));
    step("it expires, and is extended", || expiry(team));
    step("stop", || stop(team));
    step("uninstall", || team.uninstall());
}

fn step(name: &str, run: impl FnOnce()) {
    let begun = Instant::now();
    eprintln!("· {name} ...");
    run();
    eprintln!("✓ {name} ({:.1} s)", begun.elapsed().as_secs_f64());
}

fn start(team: &Team) {
    let said = team.start("v2");
    assert!(said.contains(&format!("curl -H '{KEY}' http://")), "{said}");
}

fn keyed_and_unkeyed(team: &Team) {
    for address in team.addresses() {
        for _ in 0..10 {
            assert_eq!(team.get(&address, KEY), "app v2", "{address}");
            assert_eq!(team.get(&address, "-"), "app v1", "{address}");
            assert_eq!(team.get(&address, "x-traffic: key-my-featur"), "app v1", "{address}");
        }
    }
}

fn status(team: &Team) {
    let said = team.preview(&["status"]);
    for part in ["key-my-feature", "deployment/my-app", "running (", "remaining)"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let listed: serde_json::Value = serde_json::from_str(&team.preview(&["list", "-o", "json"])).unwrap();
    assert!(listed.to_string().contains("key-my-feature"), "{listed}");
    team.preview(&["explain", "-k", "key-my-feature"]);
    let said = team.describe();
    assert!(said.contains("go straight to the app until a request is keyed"), "{said}");
}

/// Of each thing that it looks at and that this installation has for sure.
fn doctor(team: &Team) {
    let said = team.preview(&["doctor", "deployment/my-app", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let findings = report["findings"].as_array().unwrap();
    for code in [
        "Kubernetes",
        "Crds",
        "Controller",
        "Lease",
        "Agents",
        "AgentsPodSecurity",
        "Kernel",
        "KernelFeatures",
        "Namespace",
        "Rights",
        "Target",
        "HostNetwork",
        "Sandbox",
        "Volumes",
    ] {
        let levels: Vec<_> = findings.iter().filter(|it| it["code"] == code).map(|it| &it["level"]).collect();
        assert!(!levels.is_empty() && levels.iter().all(|it| *it == "ok"), "{code}: {said}");
    }
    let said = team.preview(&["doctor", "deployment/my-app", "--verbose"]);
    assert!(said.lines().any(|line| line.starts_with("ok ") && line.contains("KernelFeatures: ")), "{said}");
    assert!(said.lines().last().is_some_and(|line| line.starts_with("0 problems, ")), "{said}");

    let output = team.plugin(&["doctor", "deployment/none"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("problem  Target: "), "{said}");
}

fn new_image(team: &Team) {
    let (keyed, unkeyed) = (team.load(KEY), team.load("-"));
    std::thread::sleep(Duration::from_secs(2));
    team.start("v3");
    std::thread::sleep(Duration::from_secs(8)); // the old pod lingers, and must get nothing any more
    let (keyed, unkeyed) = (keyed.stop().unwrap(), unkeyed.stop().unwrap());
    assert!(keyed.failed.is_empty(), "{:?}: {:?}", keyed.answered, keyed.failed);
    assert_eq!(keyed.answered.keys().collect::<Vec<_>>(), ["app v2", "app v3"]);
    assert!(unkeyed.failed.is_empty(), "{:?}", unkeyed.failed);
    assert_eq!(unkeyed.answered.keys().collect::<Vec<_>>(), ["app v1"]);
}

fn scale_up(team: &Team) {
    let keyed = team.load(KEY);
    std::thread::sleep(Duration::from_secs(1));
    team.ask(&["scale", "deployment/my-app", "--replicas=4"]);
    team.rolled_out();
    let followed = eventually(Duration::from_secs(30), || {
        let routes = team.field("{.items[0].status.routes.programmed}/{.items[0].status.routes.wanted}");
        (routes == "4/4").then_some(())
    });
    assert!(followed.is_some(), "{}", team.describe());
    std::thread::sleep(Duration::from_secs(2));
    let keyed = keyed.stop().unwrap();
    assert!(keyed.failed.is_empty(), "{:?}", keyed.failed);
    // From when its Service knows the new replica until its node's agent steers it.
    let early = keyed.spans.get("app v1").copied().unwrap_or_default();
    let count = keyed.answered.get("app v1").copied().unwrap_or_default();
    eprintln!("  a new replica served {count} keyed requests within {early} ms before it was steered");
    team.ask(&["scale", "deployment/my-app", "--replicas=3"]);
    team.rolled_out();
}

fn agent_deleted(team: &Team) {
    let unkeyed = team.load("-");
    team.byway(&["delete", "pod", "-l", "app.kubernetes.io/component=byway-agent", "--wait=false"]);
    team.agents_rolled_out();
    team.wait_keyed("app v3");
    let unkeyed = unkeyed.stop().unwrap();
    assert!(unkeyed.failed.is_empty(), "{:?}", unkeyed.failed);
    assert_eq!(unkeyed.answered.keys().collect::<Vec<_>>(), ["app v1"]);
}

fn agents_rolled(team: &Team) {
    let (keyed, unkeyed) = (team.load(KEY), team.load("-"));
    std::thread::sleep(Duration::from_secs(1));
    team.upgrade(&["agent.log=debug"]);
    team.agents_rolled_out();
    let (keyed, unkeyed) = (keyed.stop().unwrap(), unkeyed.stop().unwrap());
    assert!(keyed.failed.is_empty() && unkeyed.failed.is_empty(), "{:?} {:?}", keyed.failed, unkeyed.failed);
    assert_eq!(keyed.answered.keys().collect::<Vec<_>>(), ["app v3"], "a node is never without an agent");
    assert_eq!(unkeyed.answered.keys().collect::<Vec<_>>(), ["app v1"]);
}

fn run(team: &Team) {
    let job = ["run", "-t", "deployment/my-app", "-i", "localhost/shop:v2", "-k", "job-1", "--"];
    let (code, said) = team.run(&job, &["sh", "-c", "echo \"$BYWAY_KEY\"; echo \"$BYWAY_HEADER\"; exit 7"]);
    assert_eq!((code, said.as_str()), (7, "job-1\nbaggage: byway-key=job-1\n"));
    assert_eq!(team.previews(), ["key-my-feature"], "nothing is left behind");
    team.killed_run(&job);
    let left = || (team.previews() == ["key-my-feature"]).then_some(());
    assert!(eventually(Duration::from_secs(30), left).is_some(), "{:?}", team.previews());
}

fn pipeline(team: &Team) {
    let values = pipeline::values();
    let values: Vec<&str> = values.iter().map(String::as_str).chain(["agent.log=debug"]).collect();
    team.upgrade(&values);
    pipeline::with_the_role(team);
}

/// It has no pod until somebody asks, and answers as its file says.
fn asleep(team: &Team) {
    const SLEEPER: &str = "x-byway-key: sleeper";
    let file = format!("/version={}", team.file("version", "asleep").display());
    let start = ["start", "sleeper", "-t", "deployment/my-app", "-i", "localhost/shop:v3", "-k", "sleeper"];
    let more = ["--image-pull-policy", "IfNotPresent", "--start-asleep", "--mount-secret", &file];
    team.preview(&[&start[..], &more].concat());
    let said = team.preview(&["status", "-k", "sleeper"]);
    assert!(said.contains("asleep ("), "{said}");
    let pods = |path: &str| {
        let path = format!("jsonpath={{.items[*].{path}}}");
        team.ask(&["get", "pods", "-l", "byway.dev/preview=sleeper", "-o", &path])
    };
    assert_eq!(pods("metadata.name"), "");
    let address = &team.addresses()[0];
    std::thread::scope(|scope| {
        let waits: Vec<_> =
            (0..5).map(|_| scope.spawn(|| (team.get(address, SLEEPER), Instant::now()))).collect();
        let is_ready = || (pods("status.containerStatuses[0].ready") == "true").then(Instant::now);
        let ready = eventually(Duration::from_secs(60), is_ready).expect("it wakes");
        for wait in waits {
            let (answer, at) = wait.join().unwrap();
            assert_eq!(answer, "app asleep");
            // Seen a moment later than it was, as kubectl takes a moment to look, and to say what came.
            let after = at.saturating_duration_since(ready);
            eprintln!("  answered {} ms after its pod was seen to be ready", after.as_millis());
            assert!(after < Duration::from_secs(2), "{after:?}");
        }
    });
    assert_eq!(team.get(address, "-"), "app v1");
    let secrets = || team.ask(&["get", "secrets", "-l", "byway.dev/preview=sleeper", "-o", "name"]);
    assert!(secrets().starts_with("secret/sleeper-files-"), "{}", secrets());
    team.preview(&["stop", "sleeper"]);
    let gone = eventually(Duration::from_secs(60), || secrets().is_empty().then_some(()));
    assert!(gone.is_some(), "its Secret is left");
}

fn expiry(team: &Team) {
    team.end_now();
    team.wait_keyed("app v1");
    let said = team.preview(&["status", "-k", "key-my-feature"]);
    assert!(said.contains("expired"), "{said}");
    team.preview(&["extend", "-k", "key-my-feature", "--ttl", "30m"]);
    team.wait_keyed("app v3");
}

fn stop(team: &Team) {
    team.preview(&["stop", "--key", "key-my-feature"]);
    assert!(team.previews().is_empty());
    team.wait_keyed("app v1");
    assert!(team.ask(&["get", "pods,deployments", "-l", "byway.dev/preview", "-o", "name"]).is_empty());
    let routes = || team.ask(&["get", "noderoutes", "-o", "name"]).is_empty().then_some(());
    assert!(eventually(Duration::from_secs(30), routes).is_some());
}
