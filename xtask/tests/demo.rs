//! The demo, as a newcomer runs it: the screen, and the one line of JSON.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use byway_tests::{Agent, needs_root};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn demo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("demo").args(args).env("BYWAY_AGENT", Agent::binary()).stdin(Stdio::null());
    command
}

#[test]
fn shows_the_main_job() {
    if needs_root() {
        return;
    }
    let output = demo(&[]).output().expect("the demo runs");
    let screen = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{screen}\n{errors}");
    let answered = |who: &str| screen.lines().filter(|l| l.contains("GET /") && l.contains(who)).count();
    assert!(answered("STABLE") >= 4 && answered("PREVIEW") >= 2, "{screen}");
    assert!(screen.contains("key pr-12") && screen.contains("there is one for pr-1"), "{screen}");
    assert!(screen.contains("BACKENDS"), "the table of routes: {screen}");
    assert!(screen.contains("refused 0"), "nobody is refused when the agent is killed: {screen}");
}

#[test]
fn holds_up_servers_of_the_user_and_cleans_up() {
    if needs_root() {
        return;
    }
    let server = "python3 -m http.server 8080";
    let mut running = demo(&["--output", "json", "--app", server, "--preview", server])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the demo runs");
    let mut lines = BufReader::new(running.stdout.take().expect("piped")).lines();
    let line = lines.next().expect("one line").expect("which is text");
    let told: serde_json::Value = serde_json::from_str(&line).expect("which is JSON");
    let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
    let client = PathBuf::from(text("client_netns"));
    let get = |header: &str| {
        let url = format!("http://{}:{}/", text("pod_ipv4"), told["port"]);
        let mut curl = Command::new("nsenter");
        curl.arg(format!("--net={}", client.display()))
            .args(["curl", "-s", "-i", "-m", "5", "-H", header, &url]);
        String::from_utf8_lossy(&curl.output().expect("curl runs").stdout).into_owned()
    };
    let keyed = format!("{}: {}", text("header"), text("key"));
    let (stable, preview) = (get("x-other: 1"), get(&keyed));
    let agent = i32::try_from(told["agent_pid"].as_i64().unwrap_or_default()).expect("a process id");
    kill(Pid::from_raw(agent), Signal::SIGKILL).expect("the agent is there");
    let without = get(&keyed);
    kill(Pid::from_raw(running.id().cast_signed()), Signal::SIGTERM).expect("the demo is there");
    let ended = running.wait().expect("it ends");

    assert!(stable.starts_with("HTTP/1.0 200") && !stable.contains("x-byway-preview"), "{stable}");
    assert!(preview.starts_with("HTTP/1.0 200") && preview.contains("x-byway-preview"), "{preview}");
    assert!(without.starts_with("HTTP/1.0 200") && !without.contains("x-byway-preview"), "{without}");
    assert!(ended.success(), "{ended}");
    assert!(lines.next().is_none(), "nothing else on stdout");
    for path in ["client_netns", "app_netns", "preview_netns"] {
        assert!(!Path::new(&text(path)).exists(), "{path} is left behind");
    }
}
