//! What comes of values, kept beside them: a change of a template shows where it ends up.

use std::fs;
use std::path::Path;

use crate::helm::{template, value_files};

/// Writes the files instead of comparing them.
const UPDATE: &str = "UPDATE_RENDERED";

#[test]
fn the_chart_renders_what_was_looked_at() {
    for file in value_files() {
        let text = without_crds(&template(&["-f", file.to_str().unwrap()]).unwrap());
        let name = file.file_name().unwrap();
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/rendered").join(name);
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&kept, text).unwrap();
            continue;
        }
        let before = fs::read_to_string(&kept).unwrap_or_default();
        let differs = before.lines().zip(text.lines()).position(|(a, b)| a != b);
        let at = differs.unwrap_or_else(|| before.lines().count().min(text.lines().count()));
        assert!(
            before == text,
            "{} is not what comes of {} from line {} on:\n  kept:     {:?}\n  rendered: {:?}\nIf that is meant: {UPDATE}=1 cargo test -p byway-tests --test chart rendered, and look at the difference",
            kept.display(),
            file.display(),
            at + 1,
            before.lines().nth(at),
            text.lines().nth(at),
        );
    }
}

/// Those are generated, and compared by `cargo xtask generate --check`.
fn without_crds(text: &str) -> String {
    let objects = text.split("---\n").filter(|object| !object.contains("\nkind: CustomResourceDefinition\n"));
    objects.collect::<Vec<_>>().join("---\n")
}

#[test]
fn crds_stay_unless_told_otherwise_and_can_be_left_out() {
    const KEEP: &str = "helm.sh/resource-policy: keep";
    let count = |settings: &[&str]| {
        let text = template(settings).unwrap();
        (text.matches("kind: CustomResourceDefinition\n").count(), text.matches(KEEP).count())
    };
    assert_eq!(count(&[]), (2, 2));
    assert_eq!(count(&["--set", "crds.keep=false"]), (2, 0));
    assert_eq!(count(&["--set", "crds.enabled=false"]), (0, 0));
}

#[test]
fn a_match_without_a_key_is_refused_unless_the_chart_allows_it() {
    let rule = |settings: &[&str]| {
        let text = template(settings).unwrap();
        let crd = text
            .split("\n---")
            .find(|part| part.contains("  name: previews.byway.dev\nspec:\n  group"))
            .unwrap();
        let (_, after) = crd.split_once("- message: 'every way through a match").unwrap();
        after.lines().nth(1).unwrap().trim().to_owned()
    };
    assert!(rule(&[]).starts_with("rule: '!has(self.match) ||"));
    assert_eq!(rule(&["--set", "controller.allowKeyless=true"]), "rule: \"true\"");
}

#[test]
fn a_pod_has_as_long_as_its_agent_may_drain_and_then_some() {
    for (deadline, grace) in [("600", 610), ("0", 75), ("65", 75), ("66", 76), ("86400", 86410)] {
        let text = template(&["--set", &format!("agent.drainDeadline={deadline}")]).unwrap();
        assert!(text.contains(&format!("terminationGracePeriodSeconds: {grace}\n")), "{deadline}");
        assert!(text.contains(&format!("--drain-deadline={deadline}\n")), "{deadline}");
    }
}
