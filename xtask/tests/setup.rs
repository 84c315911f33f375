//! `cargo xtask setup` beside another one. Go is played by a shell script that fails as Go does when its cache goes away
//! while it compiles.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use byway_tests::Scratch;

const GO: &str = r#"#!/bin/sh
if [ "$1" = env ]; then
    echo go1.99.0
    exit
fi
mkdir -p "$GOCACHE"
touch "$GOCACHE/$$"
sleep 0.2
if [ -e "$BYWAY_CACHE/broken" ] || ! [ -e "$GOCACHE/$$" ]; then
    for line in $(seq 500); do echo "x.go:$line:2: could not import sync (open : no such file or directory)"; done
    exit 1
fi
while [ "$1" != -o ]; do shift; done
touch "$2"
echo "$3" >> "$BYWAY_CACHE/built"
"#;

/// A cache with nothing in it, and that Go.
struct Machine(Scratch);

impl Machine {
    fn new() -> Self {
        let machine = Self(Scratch::new("machine").unwrap());
        let go = machine.file("bin/go");
        fs::create_dir_all(go.parent().unwrap()).unwrap();
        fs::write(&go, GO).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn setup(&self, group: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let path = [self.file("bin")]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap()))
            .collect::<Vec<_>>();
        command.args(["setup", group]).env("PATH", std::env::join_paths(path).unwrap());
        command.env("BYWAY_CACHE", self.0.path()).env_remove("BYWAY_KUBE_BIN");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The packages that were built.
    fn built(&self) -> Vec<String> {
        fs::read_to_string(self.file("built")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_at_a_time_do_the_work_once() {
    let machine = Machine::new();
    let both = [(); 2].map(|()| machine.setup("kube").spawn().unwrap());
    let both = both.map(|child| child.wait_with_output().unwrap());
    let all = both.each_ref().map(said).concat();
    assert!(both.iter().all(|output| output.status.success()), "{all}");
    assert!(all.contains("Waiting for another set-up to end: process "), "{all}");
    assert!(all.contains(", `cargo xtask setup kube`"), "{all}");
    let mut built = machine.built();
    let count = built.len();
    built.sort();
    built.dedup();
    assert_eq!((count, built.len()), (5, 5), "each program once: {built:?}");
    assert!(!machine.file("tools/go-build").exists(), "who filled the cache removes it");
}

#[test]
fn what_is_complete_neither_waits_nor_takes_anything_away() {
    let machine = Machine::new();
    // As if another one compiled.
    let in_use = machine.file("tools/go-build/in-use");
    fs::create_dir_all(in_use.parent().unwrap()).unwrap();
    fs::write(&in_use, "").unwrap();
    let other = File::create(machine.file("set-up.lock")).unwrap();
    other.lock().unwrap();

    let output = machine.setup("demo").output().unwrap();
    assert!(output.status.success() && in_use.exists(), "{}", said(&output));
    assert!(!said(&output).contains("Waiting"), "{}", said(&output));
    drop(other);

    let output = machine.setup("kube").output().unwrap();
    assert!(output.status.success() && !in_use.exists(), "it went on, and ended: {}", said(&output));
    fs::create_dir_all(in_use.parent().unwrap()).unwrap();
    fs::write(&in_use, "").unwrap();
    let output = machine.setup("kube").output().unwrap();
    assert!(output.status.success() && in_use.exists(), "{}", said(&output));
}

#[test]
fn a_failure_is_one_line_and_the_next_goes_on() {
    let machine = Machine::new();
    fs::write(machine.file("broken"), "").unwrap();
    let output = machine.setup("kube").output().unwrap();
    let said = said(&output);
    assert!(!output.status.success() && said.lines().count() < 5, "{said}");
    let line = said.lines().last().unwrap();
    assert!(line.starts_with("error: Building etcd") && line.contains("could not import sync"), "{line}");
    let log = line.split_once("(all that it said: ").unwrap().1.trim_end_matches(')');
    assert_eq!(fs::read_to_string(log).unwrap().lines().count(), 500);
    fs::remove_file(log).unwrap();
    assert!(machine.file("tools/go-build").exists(), "what was compiled is kept");

    fs::remove_file(machine.file("broken")).unwrap();
    assert!(machine.setup("kube").status().unwrap().success());
    assert_eq!(machine.built().len(), 5);
    assert!(!machine.file("tools/go-build").exists());
}
