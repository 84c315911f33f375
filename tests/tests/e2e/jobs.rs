//! The Action and the GitLab template, step by step as their forges run them, with the rights of a pipeline.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use byway_tests::Scratch;
use serde_json::{Value, json};

use crate::forge::{Forge, TOKEN};
use crate::team::{STAGING, Team};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where the app is, for people.
const URL: &str = "https://shop.example.com/cart?from=review#top";

/// Of a job: its exit code, what it wrote to its log, and its results by name.
type Done = (Option<i32>, String, BTreeMap<String, String>);

pub(crate) fn on_github(team: &Team, kubeconfig: &Path) {
    let forge = Forge::start("github-actions[bot]", "<!-- byway pr-7 -->");
    let run = |action: &str, inputs: &[(&str, &str)]| github(team, kubeconfig, &forge, action, inputs);
    let target = ("target", "deployment/my-app");
    let place = ("namespace", STAGING);

    let pushed = [
        target,
        place,
        ("image", "localhost/shop:v2"),
        ("url", URL),
        ("arguments", "--replicas=1\n--env=A=b c"),
    ];
    let (code, said, results) = run("opened", &pushed);
    assert_eq!(code, Some(0), "{said}\n{}", team.describe());
    assert!(said.contains("ready: ") && !said.contains(TOKEN), "{said}");
    assert_eq!(results["key"], "pr-7");
    assert_eq!(results["url"], "https://shop.example.com/cart?from=review&byway-key=pr-7#top");
    assert_eq!(results["header"], "baggage: byway-key=pr-7");
    assert_eq!(team.get(&team.addresses()[0], &results["header"]), "app v2");
    let first = forge.comment().unwrap();
    for part in [
        "<!-- byway pr-7 -->\n### ✅ Preview <code>pr-7</code> is ready",
        &format!("(<{}>)", results["url"]),
        "<code>baggage: byway-key=pr-7</code>",
        "<code>deployment/my-app</code> | <code>localhost/shop:v2</code> | Ready |",
        "UTC (59 minutes from now) |",
        "| RoutesProgrammed | True |",
        "commit 0123456789ab",
    ] {
        assert!(first.body.contains(part), "{part} is not in {}", first.body);
    }

    let (code, said, results) = run("synchronize", &[target, place, ("image", "localhost/shop:v3")]);
    assert_eq!((code, results["url"].as_str()), (Some(0), ""), "{said}");
    team.wait_answer("baggage: byway-key=pr-7", "app v3");
    let second = forge.comment().unwrap();
    assert!(second.id == first.id && second.body.contains("localhost/shop:v3"), "{}", second.body);

    let (code, said, _) = run("synchronize", &[target, place, ("image", "localhost/no-such-image:v1")]);
    assert_eq!(code, Some(6), "{said}");
    let failed = forge.comment().unwrap().body;
    assert!(
        failed.contains("### ❌") && failed.contains("**What to do:**") && failed.contains("ImagePull"),
        "{failed}"
    );

    // Who does not wait for it is not told that it is ready.
    let (code, said, _) =
        run("synchronize", &[target, place, ("image", "localhost/shop:v2"), ("arguments", "--no-wait")]);
    assert!(code == Some(0) && forge.comment().unwrap().body.contains("is on its way"), "{code:?} {said}");

    let (code, said, _) = run("closed", &[target, place]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!team.previews().contains(&"pr-7".to_owned()));
    assert!(forge.comment().unwrap().body.contains("Preview <code>pr-7</code> has ended"));
}

pub(crate) fn on_gitlab(team: &Team, kubeconfig: &Path) {
    let forge = Forge::start("project_7_bot", "<!-- byway mr-8 -->");
    let start =
        [("BYWAY_TARGET", "deployment/my-app"), ("BYWAY_IMAGE", "localhost/shop:v2"), ("BYWAY_TOKEN", TOKEN)];
    let (code, said, results) = gitlab(team, kubeconfig, &forge, ".byway-preview", &start);
    assert_eq!(code, Some(0), "{said}\n{}", team.describe());
    assert_eq!(results["BYWAY_PREVIEW_KEY"], "mr-8");
    assert_eq!(results["BYWAY_PREVIEW_HEADER"], "baggage: byway-key=mr-8");
    assert_eq!(team.get(&team.addresses()[0], &results["BYWAY_PREVIEW_HEADER"]), "app v2");
    assert!(forge.comment().unwrap().body.contains("Preview <code>mr-8</code> is ready"));

    // Without a token that may write, it says so, and the preview is there.
    let (code, said, _) =
        gitlab(team, kubeconfig, &forge, ".byway-preview", &[start[0], start[1], ("BYWAY_TOKEN", "wrong")]);
    assert!(code == Some(0) && said.contains("the comment could not be written"), "{code:?} {said}");

    let (code, said, _) = gitlab(team, kubeconfig, &forge, ".byway-preview-stop", &[("BYWAY_TOKEN", TOKEN)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!team.previews().contains(&"mr-8".to_owned()));
    assert!(forge.comment().unwrap().body.contains("has ended"));
}

/// The steps of `action.yml`, with these inputs, on an event of a pull request.
fn github(team: &Team, kubeconfig: &Path, forge: &Forge, action: &str, inputs: &[(&str, &str)]) -> Done {
    let file = yaml("action.yml");
    let folder = Scratch::new("github").unwrap();
    let (event, output) = (folder.path().join("event.json"), folder.path().join("output"));
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let pull_request = json!({ "number": 7, "head": { "sha": commit } });
    fs::write(&event, json!({ "action": action, "pull_request": pull_request }).to_string()).unwrap();
    fs::write(&output, "").unwrap();
    let value = |text: &str| {
        let Some(name) = text.strip_prefix("${{ inputs.").and_then(|it| it.strip_suffix(" }}")) else {
            return text.to_owned();
        };
        let given = inputs.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        assert!(file["inputs"].get(name).is_some(), "{name} is no input");
        let default = file["inputs"][name]["default"].as_str().unwrap_or_default();
        given.unwrap_or_else(|| default.replace("${{ github.token }}", TOKEN))
    };
    let steps = file["runs"]["steps"].as_array().unwrap();
    assert!(steps.len() == 1 && steps[0]["shell"] == "sh", "{steps:?}");
    let mut job = job(team, kubeconfig, folder.path(), steps[0]["run"].as_str().unwrap());
    job.envs(
        steps[0]["env"].as_object().unwrap().iter().map(|(name, it)| (name, value(it.as_str().unwrap()))),
    );
    job.env("GITHUB_ACTIONS", "true").env("GITHUB_ACTION_PATH", ROOT).env("GITHUB_REPOSITORY", "team/shop");
    job.env("GITHUB_API_URL", format!("http://{}/api/v3", forge.address));
    job.env("GITHUB_EVENT_PATH", event).env("GITHUB_OUTPUT", &output);
    let (code, said) = finish(&mut job);

    let step = lines(&output);
    let named = |it: &Value| {
        let name = it["value"].as_str().unwrap().strip_prefix("${{ steps.preview.outputs.").unwrap();
        step.get(name.strip_suffix(" }}").unwrap()).cloned().unwrap_or_default()
    };
    let outputs = file["outputs"].as_object().unwrap();
    (code, said, outputs.iter().map(|(name, it)| (name.clone(), named(it))).collect())
}

/// A job that extends this one of `pipelines/gitlab.yml`, in a pipeline of a merge request.
fn gitlab(team: &Team, kubeconfig: &Path, forge: &Forge, name: &str, variables: &[(&str, &str)]) -> Done {
    let template = &yaml("pipelines/gitlab.yml")[name];
    let folder = Scratch::new("gitlab").unwrap();
    let script: Vec<&str> =
        template["script"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let mut job = job(team, kubeconfig, folder.path(), &script.join("\n"));
    let own = template["variables"].as_object().into_iter().flatten();
    job.envs(own.map(|(name, value)| (name, value.as_str().unwrap())));
    job.env("BYWAY_NAMESPACE", STAGING).envs(variables.iter().copied());
    job.env("GITLAB_CI", "true")
        .env("CI_API_V4_URL", format!("http://{}/api/v4", forge.address))
        .env("CI_PROJECT_ID", "7");
    job.env("CI_MERGE_REQUEST_IID", "8").env("CI_COMMIT_SHA", "0123456789abcdef0123456789abcdef01234567");
    let (code, said) = finish(&mut job);
    let report = template["artifacts"]["reports"]["dotenv"].as_str();
    let results = report.map(|it| lines(&folder.path().join(it))).unwrap_or_default();
    (code, said, results)
}

/// A script as both run it, with nothing of this test's environment but where programs are.
fn job(team: &Team, kubeconfig: &Path, folder: &Path, script: &str) -> Command {
    let file = folder.join("script");
    fs::write(&file, script).unwrap();
    let path = team.kubectl_with_plugin();
    let path = path.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
    let mut job = Command::new("sh");
    job.arg("-e").arg(file).current_dir(folder).env_clear();
    job.env("PATH", path).env("KUBECONFIG", kubeconfig).env("HOME", folder);
    job
}

fn finish(job: &mut Command) -> (Option<i32>, String) {
    let output = job.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// `NAME=VALUE` on each.
fn lines(file: &PathBuf) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let pairs = text.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn yaml(name: &str) -> Value {
    serde_yaml_ng::from_str(&fs::read_to_string(Path::new(ROOT).join(name)).unwrap()).unwrap()
}
