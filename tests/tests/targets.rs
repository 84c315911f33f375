//! Many targets, targets that go, and targets that cannot be.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{Agent, App, Http, Loaded, Net, Plan, Pod, Preview, Routes, Stage, eventually, needs_root};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);
const KEYED: [(&str, &str); 1] = [("x-byway-key", Stage::KEY)];

#[test]
fn a_node_full_of_targets() {
    if needs_root() {
        return;
    }
    const PODS: usize = 110;
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let pods = stage.net.pods::<PODS>(std::array::from_fn(|n| format!("pod-{n}"))).unwrap();
    let apps: Vec<_> = pods.iter().map(|pod| App::start(pod, &pod.name, "[::]:8080").unwrap()).collect();
    let with = |pods: &[Pod]| {
        pods.iter().fold(stage.routes(), |routes, pod| routes.target(pod, &[8080], &["demo/redesign"]))
    };
    let agent = stage.start_agent().unwrap();
    // On others traffic goes on.
    let load = Plan::to(stage.addresses()).keyed(Stage::KEY).clients(2).start(&stage.client);
    let kept =
        Plan::to(stage.addresses()).kept().clients(2).pause(Duration::from_millis(2)).start(&stage.client);

    let begun = Instant::now();
    agent.write_routes(&with(&pods)).unwrap();
    let attached = eventually(Duration::from_secs(30), || {
        (agent.metric("byway_agent_targets", "").ok()? == (PODS + 1) as f64).then_some(())
    });
    assert!(attached.is_some(), "{}", agent.log());
    let attaching = begun.elapsed();
    for pod in &pods {
        let mut http = Http::new(stage.client.connect((pod.ipv4, 8080)).unwrap());
        assert!(http.get("/", &[]).unwrap().text().starts_with(&pod.name));
        assert!(http.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"), "{}", pod.name);
    }
    assert_eq!(failures(&agent), Vec::<(String, String)>::new());

    // Half of them go, and come again.
    for _ in 0..3 {
        agent.write_routes(&with(&pods[..PODS / 2])).unwrap();
        sleep(Duration::from_millis(300));
        agent.write_routes(&with(&pods)).unwrap();
        sleep(Duration::from_millis(300));
    }
    for pod in &pods {
        let keyed = || Http::new(stage.client.connect((pod.ipv6, 8080)).ok()?).get("/", &KEYED).ok();
        let steered = eventually(SOON, || keyed()?.text().starts_with("PREVIEW").then_some(()));
        assert!(steered.is_some(), "{}", pod.name);
    }
    agent.write_routes(&stage.routes()).unwrap();
    // With the last listener all of it is free: of the target that is left, one program, and four at its interface where
    // connections go straight.
    let most = if Agent::goes_straight() { 9 } else { 5 };
    let freed = eventually(SOON * 2, || {
        let loaded = Loaded::by(agent.pid()).ok()?;
        (loaded.links.len() <= most).then_some(())
    });
    assert!(freed.is_some(), "{:?}", Loaded::by(agent.pid()));
    let (load, kept) = (load.stop(), kept.stop());
    eprintln!("{PODS} targets attached in {attaching:?}; meanwhile {load:?}, {kept:?}");
    assert_eq!((load.failed(), kept.failed()), (0, 0));
    assert!(kept.of("PREVIEW") == 0 && load.of("PREVIEW") > 100);
    drop(apps);
}

#[test]
fn an_agent_is_ready_when_the_last_target_is_attached() {
    if needs_root() {
        return;
    }
    const PODS: usize = 110;
    let stage = Stage::new().unwrap();
    let pods = stage.net.pods::<PODS>(std::array::from_fn(|n| format!("pod-{n:03}"))).unwrap();
    let _apps: Vec<_> = pods.iter().map(|pod| App::start(pod, &pod.name, "[::]:8080").unwrap()).collect();
    let routes = pods.iter().fold(stage.previews(), |it, pod| it.target(pod, &[8080], &["demo/redesign"]));
    let agent = stage.agent().spawn(&routes).unwrap();
    let mut not_ready = 0;
    let links = eventually(Duration::from_secs(30), || {
        let ready = agent.get("/readyz").is_ok_and(|it| it.status == 200);
        not_ready += usize::from(!ready);
        ready.then(|| Loaded::on(stage.net.node_name()).links.len())
    });
    let links = links.unwrap_or_else(|| panic!("{}", agent.log()));
    // From the last one, which it comes to last.
    for pod in pods.iter().rev() {
        let mut http = Http::new(stage.client.connect((pod.ipv4, 8080)).unwrap());
        assert!(http.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"), "{}", pod.name);
    }
    assert!(not_ready > 1 && links > PODS, "{not_ready} {links}");
    assert_eq!(Loaded::on(stage.net.node_name()).links.len(), links, "attached after it was ready");
    assert_eq!(agent.metric("byway_agent_targets", "").unwrap(), PODS as f64);
}

#[test]
fn a_pod_that_goes_is_let_go_at_once() {
    if needs_root() {
        return;
    }
    // Its routes may be there still, be gone just before, or go while connections drain.
    for (what, routes_go_first) in [("with its routes", false), ("after its routes", true)] {
        let stage = Stage::new().unwrap();
        let pod = stage.net.pod("leaver").unwrap();
        let app = App::start(&pod, "STABLE", "[::]:8080").unwrap();
        let routes = stage.previews().target(&pod, &[8080], &["demo/redesign"]);
        let agent = Agent::start(&stage.net, &routes).unwrap();
        let to = SocketAddr::new(pod.ipv4.into(), 8080);
        let mut open: Vec<_> = (0..10).map(|_| Http::new(stage.client.connect(to).unwrap())).collect();
        for http in &mut open {
            assert!(http.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));
        }
        let inode = fs::metadata(pod.netns()).unwrap().ino();
        let devices = || stage.net.node().run(|| fs::read_to_string("/proc/thread-self/net/dev")).unwrap();
        let before = devices().lines().count();
        if routes_go_first {
            agent.write_routes(&stage.previews()).unwrap();
            sleep(Duration::from_millis(300));
        }
        drop(app);
        drop(open);
        // Who holds the pod now is the agent alone: connections, listeners, descriptors of the namespace.
        let begun = Instant::now();
        drop(pod);
        let freed = eventually(SOON, || (devices().lines().count() == before - 1).then_some(()));
        assert!(freed.is_some(), "{what}: namespace {inode} lives on\n{}", agent.log());
        let took = begun.elapsed();
        eprintln!("{what}: its veth is gone after {took:?}");
        assert!(took < Duration::from_secs(3), "{what}: {took:?}");
        assert_eq!(agent.get("/healthz").unwrap().status, 200);
    }
}

#[test]
fn what_cannot_be_steered_says_why_and_the_rest_is() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let other = stage.net.pod("other").unwrap();
    let preview = |name: &str, key: &str| Preview::new(name, key).backend(&stage.preview);
    let names = ["demo/redesign"];
    let at = |routes: Routes, name: &str, netns: &Path, ips: &[std::net::IpAddr]| {
        routes.target_at(name, netns, ips, &[8080], &names)
    };
    let mut routes = stage.routes().preview(preview("demo/no-key", "not a key"));
    routes = at(routes, "host", stage.net.node().path(), &[]);
    routes = at(routes, "gone", Path::new("/run/netns/bw-none"), &[]);
    routes = at(routes, "no-namespace", Path::new("/etc/hostname"), &[]);
    routes = at(routes, "wrong", other.netns(), &stage.app.ips());
    routes = at(routes, "twice", stage.app.netns(), &stage.app.ips());
    let mut document = serde_json::to_value(&routes).unwrap();
    let bad = serde_json::json!({
        "name": "demo/bad", "revision": "1", "key": "pr-2", "backends": [],
        "match": {"header": {"name": "x-traffic", "regex": "{{ key }}("}},
    });
    document["spec"]["previews"].as_array_mut().unwrap().push(bad);
    let agent = Agent::start(&stage.net, &document).unwrap();
    stage.wait_answered_by("PREVIEW").unwrap();
    let failures = failures(&agent);
    eprintln!("{failures:?}");
    for (target, reason) in [
        ("host", "TargetUsesHostNetwork"),
        ("gone", "NoNamespace"),
        ("no-namespace", "NoNamespace"),
        ("wrong", "WrongNamespace"),
        ("twice", "DuplicateTarget"),
    ] {
        let found = failures.iter().find(|(t, _)| t == target);
        assert_eq!(found.map(|(_, r)| r.as_str()), Some(reason), "{target}: {failures:?}");
    }
    let status = agent.get("/status").unwrap().text();
    for name in ["demo/bad", "demo/no-key"] {
        let refused = previews(&agent).into_iter().find(|p| p["name"] == name).unwrap();
        assert!(refused["refused"]["reason"].is_string(), "{status}");
    }
    // A document that is none, or half of one, changes nothing.
    let broken = ["", "{", "kind: NodeTable", "apiVersion: byway.dev/v1\nkind: Other\nspec: {}"];
    for (n, broken) in (1..).zip(broken) {
        fs::write(agent.routes_file(), broken).unwrap();
        let refused =
            || (agent.metric("byway_agent_bad_documents_total", "").ok()? >= f64::from(n)).then_some(());
        assert!(eventually(SOON, refused).is_some(), "{broken:?}\n{}", agent.log());
        stage.wait_answered_by("PREVIEW").unwrap();
    }
    // What could not be steered before is, once it can be.
    let late = stage.previews().target_at("late", Path::new("/run/netns/bw-late"), &[], &[8080], &names);
    agent.write_routes(&late).unwrap();
    stage.wait_answered_by("STABLE").unwrap();
    agent.write_routes(&stage.routes()).unwrap();
    stage.wait_answered_by("PREVIEW").unwrap();
}

#[test]
fn a_document_is_never_read_half() {
    if needs_root() {
        return;
    }
    use std::io::Write;
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let agent = stage.start_agent().unwrap();
    // As an editor or `cp` writes it: emptied, then filled. Half of this document is a document without targets.
    let document = serde_json::to_value(stage.routes()).unwrap();
    let preview = &document["spec"]["previews"][0];
    let target = &document["spec"]["targets"][0];
    let head = format!(
        "apiVersion: byway.dev/v1alpha1\nkind: NodeTable\nmetadata: {{name: node}}\nspec:\n  previews: [{preview}]\n"
    );
    let tail = format!("  targets: [{target}]\n");
    for _ in 0..5 {
        let mut file = fs::File::create(agent.routes_file()).unwrap();
        file.write_all(head.as_bytes()).unwrap();
        sleep(Duration::from_millis(60));
        file.write_all(tail.as_bytes()).unwrap();
        drop(file);
        for _ in 0..10 {
            let answer = stage.ask(stage.addresses()[0], Some(Stage::KEY)).unwrap().text();
            assert!(answer.starts_with("PREVIEW"), "{answer}\n{}", agent.log());
            sleep(Duration::from_millis(20));
        }
    }
}

/// Target and reason of all failures.
fn failures(agent: &Agent) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let of = |preview: &Value| preview["failures"].as_array().cloned().unwrap_or_default();
    let all = previews(agent).into_iter().flat_map(|preview| of(&preview));
    all.map(|failure| (text(&failure["target"]), text(&failure["reason"]))).collect()
}

fn previews(agent: &Agent) -> Vec<Value> {
    let status: Value = serde_json::from_str(&agent.get("/status").unwrap().text()).unwrap();
    status["previews"].as_array().cloned().unwrap_or_default()
}

#[test]
fn another_node_on_the_same_machine_is_another_node() {
    if needs_root() {
        return;
    }
    let (one, two) = (Stage::new().unwrap(), Stage::new().unwrap());
    let _apps = [one.start_app().unwrap(), two.start_app().unwrap()];
    let (first, mut second) = (one.start_agent().unwrap(), two.start_agent().unwrap());
    let shared = |id: &u32| Loaded::by(second.pid()).unwrap().maps.contains(id);
    assert!(!Loaded::by(first.pid()).unwrap().maps.iter().any(shared));
    second.sigkill();
    one.wait_answered_by("PREVIEW").unwrap();
    two.wait_answered_by("STABLE").unwrap();
    let _: &Net = &one.net;
}

#[test]
fn what_would_steer_in_circles_is_refused() {
    if needs_root() {
        return;
    }
    let (one, two) = (Stage::new().unwrap(), Stage::new().unwrap());
    let _app = one.start_app().unwrap();
    let _first = one.start_agent().unwrap();
    // An agent of another node does not know the first one's dials, nor the first one its.
    let routes = two.previews().target_at("taken", one.app.netns(), &[], &[8080], &["demo/redesign"]);
    let second = Agent::start(&two.net, &routes).unwrap();
    assert_eq!(failures(&second), [("taken".to_owned(), "SteeredByAnother".to_owned())]);
    one.wait_answered_by("PREVIEW").unwrap();

    // A preview whose pod is the target itself.
    let _other = two.start_app().unwrap();
    let preview = Preview::new("demo/redesign", Stage::KEY).backend(&two.app);
    second
        .write_routes(&Routes::new().preview(preview).target(&two.app, &[8080], &["demo/redesign"]))
        .unwrap();
    let reason = eventually(SOON, || failures(&second).pop().filter(|(_, reason)| reason == "Loop"));
    assert!(reason.is_some(), "{:?}", failures(&second));
    assert_eq!(two.ask(two.addresses()[0], Some(Stage::KEY)).unwrap().status, 502);
}

#[test]
fn a_slip_of_the_pen_detaches_nothing() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let agent = stage.start_agent().unwrap();
    let good = serde_json::to_value(stage.routes()).unwrap();
    let mut slips = Vec::new();
    let mut slip = |change: &dyn Fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document["spec"]);
        slips.push(document);
    };
    slip(&|spec| spec["previewz"] = spec["previews"].take());
    slip(&|spec| spec["targets"][0]["portz"] = 1.into());
    slip(&|spec| spec["targets"][0]["previews"][0] = "demo/typo".into());
    slip(&|spec| spec["targets"] = vec![spec["targets"][0].clone(), spec["targets"][0].clone()].into());
    slip(&|spec| spec["previews"] = vec![spec["previews"][0].clone(), spec["previews"][0].clone()].into());
    let mut texts: Vec<String> = slips.iter().map(ToString::to_string).collect();
    let key = format!("\"key\":\"{}\"", Stage::KEY);
    texts.push(good.to_string().replacen(&key, &format!("\"key\":\"other\",{key}"), 1));
    assert_ne!(texts.last(), Some(&good.to_string()), "{good}");
    for (n, document) in (1..).zip(texts) {
        fs::write(agent.routes_file(), &document).unwrap();
        let refused = || {
            agent.metric("byway_agent_bad_documents_total", "").ok().filter(|count| *count >= f64::from(n))
        };
        assert!(eventually(SOON, refused).is_some(), "{document}\n{}", agent.log());
        let answer = stage.ask(stage.addresses()[0], Some(Stage::KEY)).unwrap().text();
        assert!(answer.starts_with("PREVIEW"), "{document}: {answer}");
    }
}
