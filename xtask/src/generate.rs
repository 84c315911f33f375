//! Files that are made from others and checked in, so that a reader of the tree and Helm have them.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_yaml_ng::Value;

use crate::workspace;

mod readme;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if a file is not what the code makes
    #[arg(long)]
    pub(crate) check: bool,
}

/// `cargo xtask generate`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut stale = Vec::new();
    for (path, text) in files()? {
        if fs::read_to_string(&path).is_ok_and(|now| now == text) {
            continue;
        }
        if args.check {
            stale.push(path.display().to_string());
            continue;
        }
        let folder = path.parent().context("a file is in a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(&path, text)?;
        println!("wrote {}", path.display());
    }
    ensure!(stale.is_empty(), "not what the code makes: {}; run `cargo xtask generate`", stale.join(", "));
    Ok(())
}

fn files() -> Result<Vec<(PathBuf, String)>> {
    let chart = workspace::root().join("charts/byway");
    let crd = |name: &str| chart.join("files/crds").join(name).with_extension("yaml");
    // As YAML, of which JSON is a part: it keeps the order of fields.
    let crds: Vec<(String, Value)> = serde_yaml_ng::from_str(&printed("byway-api", "crds")?)?;
    let crds = crds.iter().map(|(name, value)| Ok((crd(name), yaml(value)?)));
    let readme = readme::make(&fs::read_to_string(chart.join("values.yaml"))?)?;
    let help = (workspace::root().join("docs/cli-help.md"), printed("byway-cli", "help")?);
    let gitlab = (workspace::root().join("pipelines/gitlab.yml"), gitlab()?);
    crds.chain([Ok((chart.join("README.md"), readme)), Ok(help), Ok(gitlab)]).collect()
}

/// A template that is included brings no other file with it, so the script is in it.
fn gitlab() -> Result<String> {
    let folder = workspace::root().join("pipelines");
    let head = fs::read_to_string(folder.join("gitlab.head.yml"))?;
    let script = fs::read_to_string(folder.join("preview.sh"))?;
    let (before, after) =
        head.split_once("{{ preview.sh }}\n").context("gitlab.head.yml has a place for it")?;
    let indent = " ".repeat(before.len() - before.trim_end_matches(' ').len());
    let lines: Vec<String> = script
        .lines()
        .enumerate()
        .map(|(n, line)| if n == 0 || line.is_empty() { line.to_owned() } else { format!("{indent}{line}") })
        .collect();
    Ok(format!("# Made by `cargo xtask generate`.\n{before}{}\n{after}", lines.join("\n")))
}

/// What an example of a package prints. So only this command compiles the package and what it needs.
fn printed(package: &str, example: &str) -> Result<String> {
    let mut run = workspace::cargo();
    run.args(["run", "--quiet", "--locked", "--package", package, "--example", example]);
    let output = run.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the example {example} of {package} fails; the reason is above");
    Ok(String::from_utf8(output.stdout)?)
}

fn yaml(value: &Value) -> Result<String> {
    let text = serde_yaml_ng::to_string(value)?;
    let lines: Vec<String> = text.lines().map(quoted).collect();
    Ok(format!("# Made by `cargo xtask generate`.\n{}\n", lines.join("\n")))
}

/// Kubernetes' tools read YAML 1.1, where these words are booleans: an enum would get `false` in place of `off`.
fn quoted(line: &str) -> String {
    const BOOLEANS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    match line.rsplit_once(' ') {
        Some((before, word))
            if before.ends_with(['-', ':']) && BOOLEANS.contains(&word.to_lowercase().as_str()) =>
        {
            format!("{before} \"{word}\"")
        }
        _ => line.to_owned(),
    }
}
