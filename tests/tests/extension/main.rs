//! The browser extension: as values, as its linter sees it, and in a real Chromium and Firefox with the real
//! agent behind it.
//!
//! What happens in the browsers is told in the `*.test.cjs` beside this file. Pictures of the popup are kept
//! in `target/pictures`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use byway_tests::{
    Agent, Net, Pod, Preview, Routes, Running, Scratch, find_program, needs_root, node_modules, target_dir,
};
use serde_json::{Value, json};

const PORT: u16 = 8080;
const EXTENSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../extension");
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/extension");

#[test]
fn extension_requests() {
    in_a_browser("requests.test.cjs");
}

#[test]
fn extension_popup() {
    in_a_browser("popup.test.cjs");
}

#[test]
fn extension_private_windows() {
    in_a_browser("private.test.cjs");
}

#[test]
fn extension_in_firefox() {
    in_a_browser("firefox.test.cjs");
}

#[test]
fn extension_values() {
    passes(Command::new("node").args(["--test", "values.test.mjs"]).current_dir(HERE));
}

#[test]
fn extension_asks_for_what_it_needs_and_no_more() {
    let manifest = std::fs::read_to_string(Path::new(EXTENSION).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
    let permissions = ["activeTab", "declarativeNetRequestWithHostAccess", "storage", "webRequest"];
    assert_eq!(manifest["permissions"], json!(permissions));
    // Asked for a site at a time.
    assert_eq!(manifest["optional_host_permissions"], json!(["*://*/*", "ws://*/*", "wss://*/*"]));
    for more in ["host_permissions", "content_scripts", "content_security_policy", "externally_connectable"] {
        assert_eq!(manifest[more], Value::Null, "{more}");
    }
}

#[test]
fn extension_linter_finds_nothing() {
    let mut lint = Command::new("node");
    lint.arg(modules().join("web-ext/bin/web-ext.js"));
    lint.args(["lint", "--output", "json", "--no-config-discovery", "--source-dir", EXTENSION]);
    let output = lint.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(
        (&report["summary"]["errors"], &report["summary"]["notices"]),
        (&json!(0), &json!(0)),
        "{said}"
    );
    let codes: Vec<&Value> = report["warnings"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    // Of the one manifest for all browsers: Chromium reads `service_worker`, Firefox `scripts`.
    assert_eq!(codes, ["BACKGROUND_SERVICE_WORKER_IGNORED"], "{said}");
}

/// A site whose names are all one target, with a preview, and with one whose pod has no server.
fn in_a_browser(tests: &str) {
    if needs_root() {
        return;
    }
    let net = Net::new().unwrap();
    let [client, app, preview, silent] =
        net.pods(["client", "app", "preview", "silent"].map(str::to_owned)).unwrap();
    let scratch = Scratch::new("site").unwrap();
    let logs = ["app", "preview"].map(|name| scratch.path().join(name));
    let _servers = [serve(&app, "STABLE", &logs[0]), serve(&preview, "PREVIEW", &logs[1])];
    let routes = Routes::new()
        .preview(Preview::new("demo/redesign", "pr-1").backend(&preview))
        .preview(Preview::new("demo/gone", "gone").backend(&silent))
        .target(&app, &[PORT], &["demo/redesign", "demo/gone"]);
    let _agent = Agent::start(&net, &routes).unwrap();

    let pictures = target_dir().join("pictures/extension");
    let site = json!({ "address": app.ipv4, "logs": logs, "pictures": pictures });
    let browser = |name| find_program(name).expect("`cargo xtask setup test` installs it");
    let mut node = client.command("node");
    node.args(["--test", "--test-reporter=spec", tests]).current_dir(HERE);
    node.env("NODE_PATH", modules()).env("BYWAY_SITE", site.to_string());
    node.env("BYWAY_CHROMIUM", browser("chromium")).env("BYWAY_FIREFOX", browser("firefox-esr"));
    passes(&mut node);
}

fn serve(pod: &Pod, name: &str, log: &Path) -> Running {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/site.js");
    let mut command = pod.command("node");
    let mut server =
        Running::spawn("site", command.args([script, name, &PORT.to_string()]).arg(log)).unwrap();
    server.wait_listening(PORT).unwrap();
    server
}

fn passes(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // Who runs no test passes, too.
    assert!(!said.contains("tests 0\n"), "{said}");
}

fn modules() -> PathBuf {
    let modules = node_modules().unwrap();
    assert!(modules.is_dir(), "no {}: `cargo xtask setup test` makes it", modules.display());
    modules
}
