//! Programs that answer as their libraries let them, in a pod each.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Once;

use byway_tests::{Pod, Running, Scratch};

pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/answers");

pub(crate) fn nginx(pod: &Pod) -> Running {
    let lines = |header: &dyn Fn(usize) -> String, n| (0..n).map(header).collect::<String>();
    let config = fs::read_to_string(Path::new(FOLDER).join("nginx.conf")).unwrap();
    let config = config
        .replace("@COOKIES@", &lines(&|n| format!("add_header Set-Cookie cookie-{n}=value;\n"), 140))
        .replace("@LONG@", &lines(&|n| format!("add_header X-{n} {};\n", "a".repeat(1024)), 70));
    let folder = Scratch::new("nginx").unwrap();
    fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let mut command = pod.command("nginx");
    command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf"]);
    Running::spawn("nginx", &mut command).unwrap().keeping(folder)
}

pub(crate) fn php(pod: &Pod) -> Running {
    let mut command = pod.command("php");
    command.args(["-S", "[::]:8080"]).arg(Path::new(FOLDER).join("server.php"));
    Running::spawn("php", &mut command).unwrap()
}

pub(crate) fn python(pod: &Pod) -> Running {
    script(pod, "python3", "server.py")
}

pub(crate) fn node(pod: &Pod) -> Running {
    script(pod, "node", "server.js")
}

pub(crate) fn java(pod: &Pod) -> Running {
    static BUILT: Once = Once::new();
    let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("answers-java");
    BUILT.call_once(|| build(Command::new("javac").arg("-d").arg(&classes).arg("Server.java")));
    let mut command = pod.command("java");
    command.arg("-cp").arg(classes).args(["Server", "::", "8080"]);
    Running::spawn("java", &mut command).unwrap()
}

pub(crate) fn go(pod: &Pod) -> Running {
    static BUILT: Once = Once::new();
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("answers-go");
    BUILT.call_once(|| build(Command::new("go").args(["build", "-o"]).arg(&binary).arg("server.go")));
    Running::spawn("go", pod.command(binary).arg(":8080")).unwrap()
}

fn build(command: &mut Command) {
    let output = command.current_dir(FOLDER).output().expect("`cargo xtask setup` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn script(pod: &Pod, with: &str, file: &str) -> Running {
    let mut command = pod.command(with);
    command.arg(Path::new(FOLDER).join(file)).args(["::", "8080"]);
    Running::spawn(with, &mut command).unwrap()
}
