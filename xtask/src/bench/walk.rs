//! `cargo xtask bench walk`: the README's way from a running cluster to a keyed request that a preview answers, with the
//! time that each command takes.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use byway_tests::{Cluster, Scratch, built, eventually, images, shop};

use crate::setup::{self, Group};
use crate::{image, workspace};

/// What the tests on nodes run, too.
const APP: &str = include_str!("../../../tests/tests/e2e/app.yaml");
const KEY: &str = "pr-42";

pub(super) fn run() -> Result<()> {
    setup::ensure(&[Group::Build, Group::Kube, Group::Nodes, Group::Helm, Group::Test])?;
    image::make(&workspace::target_dir().join("images"))?;
    eprintln!("Starting a cluster with two nodes, and an app");
    let cluster = Cluster::builder().nodes(2).start()?;
    let (program, scratch) = (shop::program()?, Scratch::new("walk")?);
    for version in ["v1", "v2"] {
        cluster.load_image(&shop::image(&program, version, &scratch)?)?;
    }
    cluster.apply(APP)?;
    cluster.ask(["rollout", "status", "deployment/my-app", "-n", "staging", "--timeout=120s"])?;
    cluster.ask(["wait", "--for=condition=Ready", "pod/client", "-n", "staging", "--timeout=60s"])?;
    let address =
        cluster.ask(["get", "service", "my-app", "-n", "staging", "-o", "jsonpath={.spec.clusterIP}"])?;
    let url = format!("http://{address}/");

    let begun = Instant::now();
    step("load the images on every node", || {
        images()?.iter().try_for_each(|archive| cluster.load_image(archive))
    })?;
    step("helm install byway charts/byway -n byway --create-namespace --wait", || {
        let chart = workspace::root().join("charts/byway");
        let mut helm = cluster.helm()?;
        helm.args(["install", "byway"]).arg(chart).args(["-n", "byway", "--create-namespace", "--wait"]);
        finish(&mut helm)
    })?;
    step("kubectl preview doctor deployment/my-app", || {
        // It may have something to say: that is no failure of the walk.
        plugin(&cluster).args(["doctor", "-n", "staging", "deployment/my-app"]).output()?;
        Ok(())
    })?;
    step("kubectl preview start -t deployment/my-app -i localhost/shop:v2 -k pr-42", || {
        let start =
            ["start", "-n", "staging", "-t", "deployment/my-app", "-i", "localhost/shop:v2", "-k", KEY];
        finish(plugin(&cluster).args(start))
    })?;
    step("curl -H 'baggage: byway-key=pr-42'", || {
        let get = ["exec", "-n", "staging", "client", "--", "/shop", "get", &url, KEY];
        let answered =
            eventually(Duration::from_secs(10), || (cluster.ask(get).ok()?.trim() == "app v2").then_some(()));
        answered.context("the preview does not answer")
    })?;
    println!("{:>7.1} s  in all", begun.elapsed().as_secs_f64());
    Ok(())
}

fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    run().with_context(|| name.to_owned())?;
    println!("{:>7.1} s  {name}", begun.elapsed().as_secs_f64());
    Ok(())
}

fn plugin(cluster: &Cluster) -> Command {
    let mut command = Command::new(built("kubectl-preview"));
    command.env("KUBECONFIG", cluster.kubeconfig());
    command
}

fn finish(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
