//! `cargo xtask bench walk`: the way of `docs/getting-started.md` from a running cluster to a keyed request that a preview
//! answers, with the time that each command takes. The commands are those of the page; only its app is another one.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use byway_tests::{Cluster, Scratch, built, eventually, images, kube_bin, shop};

use crate::setup::{self, Group};
use crate::{image, workspace};

#[cfg(test)]
mod tests;

const PAGE: &str = include_str!("../../../docs/getting-started.md");
/// How its commands begin, in their order, after the images are loaded.
const COMMANDS: [&str; 4] =
    ["helm install ", "kubectl preview doctor ", "kubectl preview start ", "curl -si "];
/// What the tests on nodes run, too.
const APP: &str = include_str!("../../../tests/tests/e2e/app.yaml");
/// The page's app, and the one here: deployment, image, URL.
const NAMES: [&str; 3] =
    ["deployment/hello", "registry.k8s.io/e2e-test-images/agnhost:2.53", "http://hello/hostname"];
const OURS: [&str; 2] = ["deployment/my-app", "localhost/shop:v2"];

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
    let commands = commands(&format!("http://{address}/"))?;
    let [install, doctor, start, curl] = &commands;

    let begun = Instant::now();
    // `cargo xtask image --load` on the page; it knows no cluster of a test.
    step("load the images on every node", || {
        images()?.iter().try_for_each(|archive| cluster.load_image(archive))
    })?;
    for command in [install, doctor, start] {
        step(command, || finish(&mut shell(&cluster, &scratch, command)?))?;
    }
    step(curl, || {
        let ask = || {
            let mut ask = cluster.pod_command("staging", "client", "sh").ok()?;
            let said = ask.args(["-c", curl]).output().ok()?.stdout;
            let said = String::from_utf8_lossy(&said).into_owned();
            (said.contains("x-byway-preview: staging/my-app-pr-42") && said.trim_end().ends_with("app v2"))
                .then_some(())
        };
        eventually(Duration::from_secs(10), ask).context("the preview does not answer")
    })?;
    println!("{:>7.1} s  in all", begun.elapsed().as_secs_f64());
    Ok(())
}

/// The page's commands, for our app at this URL.
fn commands(url: &str) -> Result<[String; 4]> {
    let mut commands = COMMANDS.map(str::to_owned);
    for command in &mut commands {
        let (_, rest) = PAGE.split_once(command.as_str()).with_context(|| {
            format!("docs/getting-started.md has no {command:?} any more: what is it there?")
        })?;
        // Until the end of its line, or of the words in a sentence.
        let rest = rest.split(['\n', '`']).next().unwrap_or_default();
        let told = format!("{command}{}", rest.trim_end());
        *command =
            NAMES.iter().zip([OURS[0], OURS[1], url]).fold(told, |told, (from, to)| told.replace(from, to));
    }
    Ok(commands)
}

fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    run().with_context(|| name.to_owned())?;
    println!("{:>7.1} s  {name}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// As somebody's terminal, in the project's folder.
fn shell(cluster: &Cluster, scratch: &Scratch, line: &str) -> Result<Command> {
    let plugin = built("kubectl-preview").parent().map(std::path::Path::to_path_buf);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [kube_bin()?].into_iter().chain(plugin).chain(env::split_paths(&path));
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(workspace::root()).env("PATH", env::join_paths(folders)?);
    command.env("KUBECONFIG", cluster.kubeconfig()).env("KUBECACHEDIR", scratch.path());
    for kind in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{kind}_HOME"), scratch.path());
    }
    Ok(command)
}

fn finish(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
