//! Configurations and what becomes of them: `examples/NAME.json` and the like, beside `examples/NAME.json.expected`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use byway_api::{Key, Preview};
use proptest::prelude::*;
use serde_json::json;

use super::keys::{Fate, KEYS};
use super::{Outside, Overrides, Problems, Started, read_within};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A few variables, one file, and a branch.
fn outside() -> Outside {
    let var = |name: &str| match name {
        "REGISTRY" => Some("registry.example".to_owned()),
        "TAG" => Some("feature".to_owned()),
        _ => None,
    };
    let file = |path: &Path| match path.to_str() {
        Some("preview.env") => Ok(b"# of the preview\nREGION=us\nexport QUOTED=\"a b\"\n".to_vec()),
        Some("build/logo.png") => Ok(vec![0x89, b'P', b'N', b'G']),
        Some("appsettings.ci.json") => Ok(b"{}".to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    Outside::new(var, file, || Some("my-branch".to_owned()))
}

fn read(text: &str, path: &str, overrides: &Overrides) -> Result<Started, Problems> {
    read_within(text, Path::new(path), overrides, &outside())
}

fn shown(result: Result<Started, Problems>) -> String {
    let value = match result {
        Ok(Started { spec, namespace, name, timeout, warnings, secrets }) => json!({
            "spec": spec,
            "namespace": namespace,
            "name": name,
            "timeout": timeout.map(|it| it.as_secs()),
            "secrets": secrets.0,
            "warnings": warnings,
        }),
        Err(problems) => {
            json!({ "problems": problems.0.iter().map(|it| format!("{}: {}", it.field, it.message)).collect::<Vec<_>>() })
        }
    };
    serde_yaml_ng::to_string(&value).unwrap()
}

/// `UPDATE_EXPECTED=1` writes what is expected anew, to be looked at.
#[test]
fn examples() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut count = 0;
    for entry in fs::read_dir(here("src/mirrord/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "expected") {
            continue;
        }
        count += 1;
        let name = path.file_name().unwrap().to_str().unwrap();
        let got = shown(read(&fs::read_to_string(&path).unwrap(), name, &Overrides::default()));
        let expected = path.with_file_name(format!("{name}.expected"));
        if update {
            fs::write(&expected, &got).unwrap();
        }
        assert_eq!(got, fs::read_to_string(&expected).unwrap_or_default(), "{name}");
    }
    assert!(count > 20, "only {count} examples");
}

#[test]
fn the_command_line_goes_before_the_file() {
    let text = fs::read_to_string(here("src/mirrord/examples/plain.json")).unwrap();
    let overrides = Overrides {
        key: Some("other".to_owned()),
        target: Some(crate::args::target("sts/db").unwrap()),
        namespace: Some("mine".to_owned()),
        image: Some("image".to_owned()),
        ttl: Some("5m".parse().unwrap()),
        timeout: Some(Duration::from_secs(7)),
        ..Overrides::default()
    };
    let started = read(&text, "mirrord.json", &overrides).unwrap();
    let spec = &started.spec;
    assert_eq!(
        (spec.key.as_deref(), spec.image.as_str(), spec.ttl),
        (Some("other"), "image", "5m".parse().unwrap())
    );
    assert_eq!(spec.target, overrides.target);
    assert_eq!((started.namespace.as_deref(), started.timeout), (Some("mine"), Some(Duration::from_secs(7))));
}

#[test]
fn the_command_line_supplies_what_is_missing() {
    let overrides = Overrides { image: Some("web".to_owned()), ports: vec![8080], ..Overrides::default() };
    let started = read("{}", "mirrord.json", &overrides).unwrap();
    assert_eq!((started.spec.image.as_str(), started.spec.target), ("web", None));
    let overrides = Overrides { target: Some(crate::args::target("deploy/a").unwrap()), ..overrides };
    assert!(read("{}", "mirrord.json", &overrides).unwrap().spec.target.is_some());
}

#[test]
fn a_cluster_is_chosen_by_the_command_line_alone() {
    let text =
        r#"{ "target": "deployment/a", "kube_context": "b", "feature": { "preview": { "image": "c" } } }"#;
    let problems = read(text, "mirrord.json", &Overrides::default()).unwrap_err();
    assert!(problems.to_string().contains("say --context b"), "{problems}");
    let warnings = |text: &str, overrides: &Overrides| {
        let started = read(text, "mirrord.json", overrides).unwrap();
        started.warnings.into_iter().filter(|it| it.starts_with("kube")).collect::<Vec<_>>()
    };
    let context = |name: &str| Overrides { context: Some(name.to_owned()), ..Overrides::default() };
    assert_eq!(warnings(text, &context("b")), Vec::<String>::new(), "it is the same");
    assert_eq!(warnings(text, &context("d")), [r#"kube_context is "b", and --context d goes before it"#]);
    let text = text.replace("kube_context", "kubeconfig");
    let file = Overrides { kubeconfig: Some("d".into()), ..Overrides::default() };
    assert_eq!(warnings(&text, &file), [r#"kubeconfig is "b", and --kubeconfig d goes before it"#]);
}

#[test]
fn one_file_may_be_written_in_several_ways() {
    let with = |kubeconfig: Option<&'static str>, path: &str, overrides: &Overrides| {
        let var = move |name: &str| match name {
            "HOME" => Some("/home/me".to_owned()),
            "KUBE" => Some("kube".to_owned()),
            "KUBECONFIG" => kubeconfig.map(str::to_owned),
            _ => None,
        };
        let outside = Outside::new(var, |_| Err(io::ErrorKind::NotFound.into()), || None);
        let text = json!({ "kubeconfig": path, "target": "deployment/a", "feature": { "preview": { "image": "c" } } });
        let read = read_within(&text.to_string(), Path::new("a.json"), overrides, &outside);
        read.map(|it| it.warnings.iter().any(|it| it.starts_with("kubeconfig")))
    };
    let flag = |path: &str| Overrides { kubeconfig: Some(path.into()), ..Overrides::default() };
    for (path, same) in [
        ("~/.kube/config", "/home/me/.kube/config"),
        ("$HOME/.kube/config", "~/.kube/config"),
        ("${HOME}/.$KUBE/config", "/home/me/.kube/config"),
        ("$UNSET/config", "$UNSET/config"),
    ] {
        assert_eq!(with(None, path, &flag(same)), Ok(false), "{path}");
        assert_eq!(with(None, same, &flag(path)), Ok(false), "{path}");
    }
    assert_eq!(with(None, "~/.kube/config", &flag("/root/.kube/config")), Ok(true), "another home");
    assert_eq!(with(Some("/home/me/b"), "~/b", &Overrides::default()), Ok(false));
    assert_eq!(
        with(Some("/home/me/b:/home/me/c"), "~/b", &Overrides::default()),
        Ok(true),
        "and another file"
    );
    assert_eq!(
        with(None, "~/.kube/config", &Overrides::default()),
        Ok(false),
        "the one that is taken anyway"
    );
    let said = with(None, "~/other", &Overrides::default()).unwrap_err().to_string();
    assert!(said.contains("say --kubeconfig ~/other"), "{said}");
}

#[test]
fn a_link_leads_to_one_file() {
    let folder = std::env::temp_dir().join(format!("byway-mirrord-{}", std::process::id()));
    fs::create_dir_all(folder.join("kube")).unwrap();
    fs::write(folder.join("kube/config"), "").unwrap();
    std::os::unix::fs::symlink(folder.join("kube/config"), folder.join("link")).unwrap();
    let outside = Outside::real();
    let place = |path: &str| outside.place(folder.join(path).to_str().unwrap());
    assert_eq!(place("link"), place("kube/config"));
    assert_eq!(place("./kube/../kube//config"), place("link"));
    assert_ne!(place("kube/other"), place("link"), "nor need it be there");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn mirrords_variable_goes_before_the_files_key() {
    let outside = Outside::new(
        |name| (name == "MIRRORD_KEY").then(|| "var".to_owned()),
        |_| Err(io::ErrorKind::NotFound.into()),
        || None,
    );
    let text = r#"{ "key": "file", "target": "deployment/a", "feature": { "preview": { "image": "c:{{ key }}" } } }"#;
    let started = read_within(text, Path::new("a.json"), &Overrides::default(), &outside).unwrap();
    assert_eq!((started.spec.key.as_deref(), started.spec.image.as_str()), (Some("var"), "c:var"));
    // Then a branch that is not known does not matter, but elsewhere it does.
    let read = |text: &str| read_within(text, Path::new("a.json"), &Overrides::default(), &outside);
    assert!(read(&text.replace("file", "{{ git_branch }}")).is_ok());
    let problems = read(&text.replace("{{ key }}", "{{ git_branch }}")).unwrap_err();
    let said: Vec<_> = problems.0.iter().map(|it| (it.field.as_str(), it.message.as_str())).collect();
    assert_eq!(said, [("feature.preview.image", super::template::NO_BRANCH)]);
}

/// Every refused key, set to something, is refused by its name; every ignored one is named in a warning.
#[test]
fn every_key_has_the_fate_that_the_table_says() {
    for known in KEYS {
        let list = known.path.contains("[]");
        let mut value = json!(["x"]);
        for name in known.path.rsplit('.') {
            value = match name.strip_suffix("[]") {
                Some(name) => json!({ name: [value] }),
                None => json!({ name: value }),
            };
        }
        let text = value.to_string();
        let result = read(
            &text,
            "a.json",
            &Overrides { image: Some("i".to_owned()), ports: vec![1], ..Overrides::default() },
        );
        let shown = result.as_ref().map_or_else(ToString::to_string, |started| started.warnings.join("\n"));
        let path = if list { known.path.replace("[]", "[0]") } else { known.path.to_owned() };
        match known.fate {
            Fate::Refused { why, .. } => {
                assert!(shown.contains(&path) && shown.contains(why), "{path}: {shown}");
            }
            Fate::Renamed(today) => assert!(shown.contains(today), "{path}: {shown}"),
            Fate::Flag { flag } => assert!(shown.contains(flag), "{path}: {shown}"),
            Fate::Ignored(why) => {
                let warnings = result.unwrap().warnings;
                assert!(
                    warnings.iter().any(|it| it.starts_with(&path) && it.contains(why)),
                    "{path}: {warnings:?}"
                );
            }
            Fate::Honoured(_) => {
                assert!(!shown.contains("is not known") && !shown.contains("is ignored"), "{path}: {shown}");
            }
        }
    }
}

#[test]
fn the_documentation_has_the_table() {
    let page = fs::read_to_string(here("../docs/mirrord.md")).unwrap();
    let missing: Vec<String> = KEYS.iter().map(row).filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "docs/mirrord.md lacks these rows:\n{}", missing.concat());
    let fates = ["` | honoured | ", "` | refused | ", "` | renamed | ", "` | ignored | "];
    let rows = page.lines().filter(|line| fates.iter().any(|fate| line.contains(fate))).count();
    assert_eq!(rows, KEYS.len(), "docs/mirrord.md has rows of keys that are not known");
}

fn row(known: &super::keys::Known) -> String {
    let path = known.path;
    match known.fate {
        Fate::Honoured(becomes) => format!("| `{path}` | honoured | {becomes} |\n"),
        Fate::Refused { why, instead } => format!("| `{path}` | refused | {why}. Instead: {instead} |\n"),
        Fate::Renamed(today) => format!("| `{path}` | renamed | write {today} |\n"),
        Fate::Flag { flag } => {
            format!(
                "| `{path}` | refused | a file does not choose the cluster. Instead: `{flag}`, which goes before the key; a warning tells where they differ |\n"
            )
        }
        Fate::Ignored(why) => format!("| `{path}` | ignored | {why} |\n"),
    }
}

proptest! {
    /// Whatever the text is, reading it ends, and says something where it fails.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}", extension in "(json|yaml|toml|)") {
        if let Err(problems) = read(&text, &format!("a.{extension}"), &Overrides::default()) {
            prop_assert!(!problems.0.is_empty());
        }
    }

    /// A spec that is made is one that the controller takes, and takes nothing without the key.
    #[test]
    fn what_is_made_is_valid(
        filter in "(header|path|method)_filter|all_of|any_of",
        text in r"(x-[a-z]{1,3}: |\^|)(\{\{ key \}\}|pr-1|a|)(\||\.\*|\$|\(|)(\{\{key\}\}|)",
        key in "[a-z]([a-z0-9.-]{0,5}[a-z0-9])?",
    ) {
        let value = match filter.as_str() {
            "all_of" => json!([{ "header": text }, { "path": "/" }]),
            "any_of" => json!([{ "header": text }]),
            _ => json!(text),
        };
        let file = json!({ "key": key, "target": "deployment/a", "feature": { "preview": { "image": "i" }, "network": { "incoming": { "http_filter": { filter: value } } } } });
        let key: Key = key.parse().unwrap();
        match read(&file.to_string(), "a.json", &Overrides::default()) {
            Ok(started) => {
                prop_assert!(started.spec.incoming.match_.is_some());
                prop_assert_eq!(started.spec.check(&key, false), Ok(()));
                let preview = Preview::new("a", started.spec);
                prop_assert!(serde_json::to_value(preview).is_ok());
            }
            Err(problems) => prop_assert!(problems.0.iter().all(|it| it.field.contains("http_filter")), "{problems}"),
        }
    }
}
