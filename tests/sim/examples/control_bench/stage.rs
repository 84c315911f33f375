//! A cluster to measure on.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use byway_sim::{Controller, Happened, Kube, Sim};
use byway_tests::Cluster;
use serde_json::{Value, json};

pub(crate) const NAMESPACE: &str = "bench";

pub(crate) struct Stage {
    // Dropped in this order.
    pub(crate) controller: Controller,
    pub(crate) sim: Sim,
    pub(crate) kube: Kube,
    pub(crate) cluster: Cluster,
}

impl Stage {
    /// With so many nodes, each with an agent; and what happens there.
    pub(crate) fn new(nodes: usize, each_agent_watches: bool) -> Result<(Self, Receiver<Happened>)> {
        let begun = Instant::now();
        let cluster = Cluster::builder().simulated_nodes().without_scheduler().start()?;
        let kube = Kube::of(&cluster)?;
        kube.install_crds()?;
        let (sender, journal) = channel();
        let mut sim = Sim::builder(&kube).nodes(nodes).journal(sender);
        if each_agent_watches {
            sim = sim.each_agent_watches();
        }
        let sim = sim.start()?;
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        kube.apply(&namespace)?;
        kube.wait_for_account(NAMESPACE)?;
        // Its own lease of 15 s: on processors that all share, three seconds could not always be kept.
        let controller = Controller::builder(cluster.kubeconfig()).lease(15).lead()?;
        eprintln!("  a cluster with {nodes} nodes ({:.0} s)", begun.elapsed().as_secs_f64());
        Ok((Self { controller, sim, kube, cluster }, journal))
    }

    /// A Deployment whose pods are [`Stage::pod`]s: a ReplicaSet would only slow their creation down.
    pub(crate) fn deployment(&self, name: &str) -> Result<()> {
        self.kube.apply(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": {
                "replicas": 0, "selector": { "matchLabels": { "app": name } },
                "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": [container()] } },
            },
        }))?;
        Ok(())
    }

    /// A pod on a node that the selector of the Deployment `app` finds.
    pub(crate) fn pod(&self, app: &str, number: usize, node: &str) -> Result<()> {
        self.kube.create(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": format!("{app}-{number}"), "namespace": NAMESPACE, "labels": { "app": app } },
            "spec": { "nodeName": node, "containers": [container()], "terminationGracePeriodSeconds": 0 },
        }))?;
        Ok(())
    }

    pub(crate) fn preview(&self, name: &str, target: &str, image: &str) -> Result<()> {
        self.kube.apply(&json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": {
                "key": name, "image": image, "ttl": "never",
                "target": { "kind": "Deployment", "name": target },
            },
        }))?;
        Ok(())
    }

    /// Waits until all Previews are ready.
    pub(crate) fn wait_ready(&self, count: usize, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        loop {
            let phase = |it: &Value| it["status"]["phase"].as_str().unwrap_or("unknown").to_owned();
            let mut phases: BTreeMap<String, usize> = BTreeMap::new();
            for preview in self.kube.list("Preview", NAMESPACE, "")? {
                *phases.entry(phase(&preview)).or_default() += 1;
            }
            if phases.get("Ready") == Some(&count) {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("of {count} previews not all are ready: {phases:?}\n{}", self.controller.log());
            }
            thread::sleep(Duration::from_secs(1));
        }
    }

    /// Operations of the controller until now, by what it operates on; reading counts, too.
    pub(crate) fn operations(&self) -> Result<BTreeMap<String, u64>> {
        let log = || format!("no metrics; the controller said:\n{}", self.controller.log());
        let text = self.controller.get("/metrics").with_context(log)?.text();
        let of = |line: &str| {
            let rest = line.strip_prefix("byway_controller_operations_total{")?;
            let what = rest.split('"').nth(1)?.to_owned();
            Some((what, rest.rsplit(' ').next()?.parse().ok()?))
        };
        Ok(text.lines().filter_map(of).collect())
    }

    /// Waits until the controller has had nothing to do for so long.
    pub(crate) fn wait_quiet(&self, rest: Duration) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(120);
        let mut before = self.operations()?;
        while Instant::now() < until {
            thread::sleep(rest);
            let now = self.operations()?;
            if now == before {
                return Ok(());
            }
            before = now;
        }
        bail!("the controller does not come to rest:\n{}", self.controller.log())
    }
}

fn container() -> Value {
    json!({ "name": "app", "image": "app:stable", "ports": [{ "containerPort": 8080 }] })
}

/// Runs `job` for each number below `count`, eight at a time.
pub(crate) fn each(count: usize, job: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    const AT_A_TIME: usize = 8;
    thread::scope(|scope| {
        let job = &job;
        let workers: Vec<_> = (0..AT_A_TIME)
            .map(|first| scope.spawn(move || (first..count).step_by(AT_A_TIME).try_for_each(job)))
            .collect();
        workers.into_iter().try_for_each(|it| it.join().ok().context("a thread has panicked")?)
    })
}
