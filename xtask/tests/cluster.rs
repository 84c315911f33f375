//! `cargo xtask cluster`, as a developer runs it: up, used, down, and nothing is left.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use byway_tests::{Scratch, kube_bin};

#[test]
fn comes_up_is_used_and_goes() {
    let cache = Scratch::new("cache").unwrap();
    let run = |args: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("cluster").args(args);
        command.env("BYWAY_KUBE_BIN", kube_bin().unwrap()).env("BYWAY_CACHE", cache.path());
        command.output().unwrap()
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();

    let nothing = run(&["env"]);
    assert!(!nothing.status.success() && String::from_utf8_lossy(&nothing.stderr).contains("cluster up"));
    let up = run(&["up", "--nodes", "0"]);
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let version = said(&run(&["kubectl", "--", "version"]));
    assert!(version.contains(&format!("Server Version: {}", byway_tests::kube_version())), "{version}");
    let env = said(&run(&["env"]));
    let kubeconfig = env.split('\'').nth(1).unwrap_or_default().to_owned();
    assert!(env.starts_with("export KUBECONFIG=") && Path::new(&kubeconfig).exists(), "{env}");

    let down = run(&["down"]);
    assert!(down.status.success() && !Path::new(&kubeconfig).exists());
    assert_eq!(fs::read_dir(cache.path().join("cluster")).unwrap().count(), 0);
    assert!(!run(&["kubectl", "version"]).status.success());
}
