//! `run`: a command with a preview that ends with it, whatever ends it.

use std::time::Duration;

use byway_sim::{Does, Pods};
use byway_tests::{built, eventually};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::command::{Call, begin, call, command};
use crate::stage::{PATIENCE, Space, shared};

const RUN: [&str; 6] = ["run", "-t", "deployment/app", "-i", "app:preview", "--"];

fn space(name: &str) -> Space<'static> {
    let space = shared().space(name);
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);
    space
}

fn sh<'a>(flags: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let (before, after) = RUN.split_at(5);
    before.iter().chain(flags).chain(after).chain(&["sh", "-c", script]).copied().collect()
}

fn nothing_is_left(space: &Space<'_>) {
    assert!(space.list("Preview", "").is_empty(), "a preview is left");
}

/// The guard may take its time, but not more than this.
fn nothing_is_left_soon(space: &Space<'_>) {
    let gone = eventually(PATIENCE, || space.list("Preview", "").is_empty().then_some(()));
    assert!(gone.is_some(), "a preview is left: {:?}", space.list("Preview", ""));
}

#[test]
fn the_command_knows_its_preview_and_gives_the_exit_code() {
    let space = space("run");
    let script = "echo $BYWAY_KEY $BYWAY_HEADER $BYWAY_PREVIEW $BYWAY_NAMESPACE; exit 7";
    let out = call(&space, &sh(&["-k", "run-1"], script)).exits(7);
    assert_eq!(
        out.stdout,
        format!("run-1 baggage: byway-key=run-1 app-run-1 {}\n", space.name),
        "and nothing else"
    );
    out.says(&["created: key run-1", "✓ ready", "✓ preview app-run-1 ended"]);
    nothing_is_left(&space);
    let out = call(&space, &sh(&["-o", "json"], "kill -TERM $$")).exits(143);
    let last: Vec<serde_json::Value> =
        out.stderr.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let ended = last.iter().find(|it| it["event"] == "ended").unwrap();
    assert_eq!(ended["exit"], 143);
    call(&space, &["run", "-t", "deployment/app", "-i", "app:2", "--", "no-such-program"]).exits(127);
    nothing_is_left(&space);
}

#[test]
fn a_preview_that_ends_before_the_command_fails_the_run() {
    let space = space("over");
    let script = format!("{} stop -n {} $BYWAY_PREVIEW", built("kubectl-preview").display(), space.name);
    let out = call(&space, &sh(&["--name", "mine"], &script)).exits(6);
    out.says(&["the preview ended before the command did"]);
    nothing_is_left(&space);
}

#[test]
fn it_lives_short_unless_told_otherwise() {
    let space = space("ttl");
    let call = begin(&space, &sh(&["--name", "mine"], "sleep 600"));
    call.wait_says("running sh");
    assert_eq!(space.get("Preview", "mine").unwrap()["spec"]["ttl"], "15m");
    call.signal(Signal::SIGTERM);
    call.end().exits(143);
    nothing_is_left(&space);
}

#[test]
fn a_life_that_ends_is_lengthened_while_the_command_runs() {
    let space = space("renewed");
    let call = begin(&space, &sh(&["--name", "mine", "--ttl", "60s"], "sleep 600"));
    call.wait_says("running sh");
    let before = space.wait_ready("mine");
    let longer = eventually(2 * PATIENCE, || {
        let now = space.get("Preview", "mine")?;
        (now["spec"]["ttl"] != "1m").then_some(now)
    });
    let now = longer.expect("the ttl is lengthened after a third of it");
    assert_eq!(now["spec"].get("renewedAt"), None, "a renewal would replace the pods");
    assert_eq!(now["status"]["pods"][0]["name"], before["status"]["pods"][0]["name"]);
    call.signal(Signal::SIGTERM);
    call.end().exits(143);
    nothing_is_left(&space);
}

#[test]
fn signals_reach_the_command_which_may_end_as_it_likes() {
    let space = space("signals");
    let script = "trap 'echo got it; exit 3' TERM INT HUP; echo begun >&2; while :; do sleep 0.1; done";
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let call = begin(&space, &sh(&[], script));
        call.wait_says("begun");
        call.signal(signal);
        let out = call.end().exits(3);
        assert_eq!(out.stdout, "got it\n", "{signal}");
        nothing_is_left(&space);
    }
}

#[test]
fn interrupted_while_it_waits_it_cleans_up() {
    let space = space("waiting");
    space.stage.sim.pods(Pods::of_image("slow:1").of_namespace(&space.name), Does::IsNotReady);
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let call = begin(&space, &["run", "-t", "deployment/app", "-i", "slow:1", "--", "true"]);
        call.wait_says("waiting for their containers");
        call.signal(signal);
        call.end().exits(code).says(&["ended", "before the command was started"]);
        nothing_is_left(&space);
    }
}

#[test]
fn killed_it_leaves_nothing_behind() {
    let space = space("killed");
    space.stage.sim.pods(Pods::of_image("slow:1").of_namespace(&space.name), Does::IsNotReady);
    // While the command runs.
    let running = begin(&space, &sh(&[], "sleep 5"));
    running.wait_says("running sh");
    running.signal(Signal::SIGKILL);
    nothing_is_left_soon(&space);
    // While it waits.
    let waiting = begin(&space, &["run", "-t", "deployment/app", "-i", "slow:1", "--", "true"]);
    waiting.wait_says("created");
    waiting.signal(Signal::SIGKILL);
    nothing_is_left_soon(&space);
    // Its whole process group, as a shell or a runner would.
    let group = begin(&space, &sh(&[], "sleep 600"));
    group.wait_says("running sh");
    group.signal_group(Signal::SIGKILL);
    nothing_is_left_soon(&space);
    // At whatever moment.
    for pause in [0_u64, 50, 100, 150, 200, 300, 500] {
        let call = begin(&space, &sh(&["--name", "mine"], "sleep 600"));
        std::thread::sleep(Duration::from_millis(pause));
        call.signal_group(Signal::SIGKILL);
        drop(call);
        // What was on its way when it was killed may come after this look, and goes again.
        nothing_is_left_soon(&space);
    }
    std::thread::sleep(Duration::from_secs(2));
    nothing_is_left_soon(&space);
}

#[test]
fn a_preview_that_fails_ends_too() {
    let space = space("failing");
    space.stage.sim.pods(Pods::of_image("bad:1").of_namespace(&space.name), Does::CrashLoops);
    let out = call(&space, &["run", "-t", "deployment/app", "-i", "bad:1", "--", "echo", "never"]).exits(6);
    assert_eq!(out.stdout, "");
    out.says(&["preview", "ended", "error:", "exit code 1"]);
    nothing_is_left(&space);
}

#[test]
fn one_that_is_there_is_not_taken_over() {
    let space = space("there");
    space.preview("mine", json!({ "key": "there-1" }));
    let out = call(&space, &sh(&["-k", "there-1"], "true")).exits(3);
    out.says(&["mine is there already, and would not be this command's to end"]);
    assert!(space.get("Preview", "mine").is_some());
}

#[test]
fn nobody_waits_for_the_guard() {
    let space = space("pipe");
    let mut pipeline = command(space.stage.cluster.kubeconfig());
    let binary = pipeline.get_program().to_owned();
    // `cat` sees the end of its input once nobody holds the other end.
    let mut shell = std::process::Command::new("sh");
    shell.env_clear().envs(pipeline.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let script = "\"$0\" run -n \"$1\" -t deployment/app -i app:2 -- echo done 2>/dev/null | cat";
    shell.args(["-c", script]).arg(binary).arg(&space.name);
    pipeline = shell;
    let out = Call::spawn(pipeline).end().exits(0);
    assert_eq!(out.stdout, "done\n");
    nothing_is_left(&space);
}
