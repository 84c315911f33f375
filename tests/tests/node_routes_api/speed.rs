//! From a change to its acknowledgement: it lies between a user and their preview.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{Stage, needs_root};
use serde_json::json;

use crate::support::Api;

const PODS: usize = 40;
const PREVIEWS: usize = 20;
const CHANGES: i64 = 20;
/// Of this node alone, on a machine that does other things as well.
const LONGEST: Duration = Duration::from_secs(1);

#[test]
fn a_change_is_acknowledged_at_once() {
    if needs_root() {
        return;
    }
    let mut api = Api::new().unwrap();
    let pods = api.stage.net.pods::<PODS>(std::array::from_fn(|n| format!("pod-{n}"))).unwrap();
    let names: Vec<String> = (0..PREVIEWS).map(|n| format!("demo/preview-{n}")).collect();
    let mut targets = Vec::new();
    for pod in &pods {
        targets.push(json!({
            "name": format!("demo/{}", pod.name), "podUid": api.pod(pod).unwrap(), "ips": pod.ips(),
            "ports": [Stage::PORT], "previews": names,
        }));
    }
    let spec = |revision: i64| {
        let previews = names.iter().enumerate();
        let previews =
            previews.map(|(n, name)| api.preview(name, &format!("r{revision}"), &format!("pr-{n}")));
        json!({ "agentPodUid": "agent-1", "previews": previews.collect::<Vec<_>>(), "targets": targets })
    };
    let agent = api.agent("agent-1").start_with_api(api.kubeconfig()).unwrap();
    let begun = Instant::now();
    let status = api.wait_ack(api.publish(&spec(0)).unwrap()).unwrap();
    eprintln!("{PODS} targets attached and acknowledged in {:?}", begun.elapsed());
    assert!(status["previews"][0]["failures"].is_null(), "{status:#}\n{}", agent.log());

    // As another watcher sees it: the change, and the acknowledgement.
    let path = "jsonpath={.metadata.generation} {.status.observedGeneration}{'\\n'}";
    let mut watch = api.cluster.kubectl();
    watch.args(["get", "noderoutes", api.name(), "--watch", "-o", path]).stdout(Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let seen = std::thread::spawn(move || {
        lines.map_while(Result::ok).map(|line| (line, Instant::now())).collect::<Vec<_>>()
    });
    sleep(Duration::from_secs(1));
    let mut last = 0;
    for revision in 1..=CHANGES {
        last = api.publish(&spec(revision)).unwrap();
        api.wait_ack(last).unwrap();
    }
    sleep(Duration::from_millis(200));
    watch.kill().unwrap();
    watch.wait().unwrap();
    let seen = seen.join().unwrap();
    let when = |what: String| seen.iter().find(|(line, _)| *line == what).map(|(_, at)| *at);
    let mut took: Vec<Duration> = (last - CHANGES + 1..=last)
        .filter_map(|generation| {
            let changed = when(format!("{generation} {}", generation - 1))?;
            Some(when(format!("{generation} {generation}"))?.duration_since(changed))
        })
        .collect();
    took.sort_unstable();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    eprintln!(
        "{} changes of one of {PREVIEWS} previews on {PODS} targets: median {median:?}, longest {longest:?}",
        took.len()
    );
    assert!(took.len() > CHANGES as usize / 2, "{seen:?}");
    assert!(longest < LONGEST, "{took:?}\n{}", agent.log());
}
