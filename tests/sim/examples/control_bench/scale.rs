//! What the controller costs in a large cluster: at rest, and while pods come and go.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use byway_sim::Controller;
use serde_json::{Value, json};

use crate::process::{Cpu, memory};
use crate::stage::{NAMESPACE, Stage, each};

/// Pods of a target.
const PER_TARGET: usize = 20;
/// It is at rest when it has done nothing for so long.
const REST: Duration = Duration::from_secs(5);
/// How long each state is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// Pods that are replaced in a second of churn.
const REPLACED: usize = 10;

pub(crate) fn measure(nodes: usize, previews: usize, pods: usize) -> Result<Value> {
    eprintln!("a large cluster: {previews} previews, {pods} pods, {nodes} nodes");
    let targets = pods.saturating_sub(nodes + previews) / PER_TARGET;
    ensure!(targets > 0, "that many nodes and previews leave no pods for targets: set --pods");
    let (mut stage, _) = Stage::new(nodes, false)?;
    let begun = Instant::now();
    each(targets, |n| stage.deployment(&format!("app-{n}")))?;
    each(targets * PER_TARGET, |n| {
        let (app, node) = (n / PER_TARGET, n % nodes);
        stage.pod(&format!("app-{app}"), n % PER_TARGET, stage.sim.node(node))
    })?;
    eprintln!("  {targets} targets with {PER_TARGET} pods each ({:.0} s)", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    each(previews, |n| stage.preview(&format!("pr-{n}"), &format!("app-{}", n % targets), "app:0"))?;
    stage.wait_ready(previews, Duration::from_secs(1800))?;
    let ready = begun.elapsed().as_secs_f64();
    eprintln!("  all previews are ready ({ready:.0} s)");
    stage.wait_quiet(REST)?;

    let rest = look(&stage, |_| Ok(()))?;
    eprintln!("  at rest: {rest}");
    let churn = look(&stage, |second| {
        each(REPLACED, |n| {
            let pod = (second * REPLACED + n) % (targets * PER_TARGET);
            let (app, number) = (format!("app-{}", pod / PER_TARGET), pod % PER_TARGET);
            stage.kube.delete("Pod", NAMESPACE, &format!("{app}-{number}"))?;
            // The name is free once the kubelet has let it go.
            let again = || stage.pod(&app, number, stage.sim.node(pod % nodes)).ok();
            byway_tests::eventually(Duration::from_secs(10), again);
            Ok(())
        })?;
        let preview = second % previews;
        stage.preview(
            &format!("pr-{preview}"),
            &format!("app-{}", preview % targets),
            &format!("app:{second}"),
        )
    })?;
    eprintln!("  in churn: {churn}");
    stage.wait_quiet(REST)?;

    // One that starts reads all of it, and finds nothing to write.
    ensure!(stage.controller.stop()?.success(), "the controller does not end");
    let begun = Instant::now();
    stage.controller = Controller::builder(stage.cluster.kubeconfig()).lease(15).identity("next").lead()?;
    stage.wait_quiet(REST)?;
    let operations = stage.operations()?;
    let writes: u64 = operations.iter().filter(|(what, _)| *what != "clone").map(|(_, count)| count).sum();
    let (rss, peak) = memory(stage.controller.pid());
    let restart = json!({
        "quiet_s": begun.elapsed().as_secs_f64(), "writes": writes, "rss": rss, "peak": peak,
    });
    Ok(json!({
        "nodes": nodes, "previews": previews, "pods": pods, "targets": targets, "ready_s": ready,
        "rest": rest, "churn": churn, "restart": restart,
    }))
}

/// Looks at the controller for a while, in each second of which something is done.
fn look(stage: &Stage, mut every_second: impl FnMut(usize) -> Result<()>) -> Result<Value> {
    let pid = stage.controller.pid();
    let (before, cpu, begun) = (stage.operations()?, Cpu::of(pid), Instant::now());
    let mut second = 0;
    while begun.elapsed() < LOOK {
        every_second(second)?;
        second += 1;
        thread::sleep((begun + Duration::from_secs(second as u64)).saturating_duration_since(Instant::now()));
    }
    let (cores, seconds) = (Cpu::of(pid).since(cpu), begun.elapsed().as_secs_f64());
    let after = stage.operations()?;
    let operations: u64 = after.values().sum::<u64>() - before.values().sum::<u64>();
    let (rss, peak) = memory(pid);
    Ok(json!({
        "cores": cores, "rss": rss, "peak": peak, "seconds": seconds, "operations": operations,
        "operations_per_second": operations as f64 / seconds,
    }))
}
