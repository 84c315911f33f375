//! Servers as they come, each in its pod: they say `NAME CLIENT`, and send bodies back.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

use crate::{Pod, Running, programs::target_dir};

const APPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps");

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// An event loop in C, one process.
    Nginx,
    /// An event loop in JavaScript.
    Node,
    /// Blocking sockets, a thread for each.
    Python,
    /// Listens with MPTCP, as Go does by default.
    Go,
    /// The one of the JDK: an event loop before threads.
    Java,
    /// Puma: the same in Ruby.
    Ruby,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Nginx, Self::Node, Self::Python, Self::Go, Self::Java, Self::Ruby];

    /// Starts it. `flags` are those of `server.py`.
    ///
    /// # Errors
    ///
    /// When its program is missing.
    pub fn start(self, pod: &Pod, name: &str, listen: SocketAddr, flags: &[&str]) -> Result<Running> {
        match self {
            Self::Nginx => nginx(pod, name, listen),
            Self::Node => script("node", "server.js", pod, name, listen, flags),
            Self::Python => script("python3", "server.py", pod, name, listen, flags),
            Self::Go => Running::spawn("go", pod.command(go()?).args([name, &listen.to_string()])),
            Self::Java => java(pod, name, listen),
            Self::Ruby => {
                let mut command = pod.command("puma");
                command.args(["--silent", "--threads", "16:16", "--bind", &format!("tcp://{listen}")]);
                Running::spawn("puma", command.arg(Path::new(APPS).join("server.ru")).env("NAME", name))
            }
        }
    }

    /// Where it sends bodies back.
    #[must_use]
    pub fn echo(self) -> &'static str {
        if self == Self::Nginx { "/echo" } else { "/" }
    }
}

fn script(
    with: &str,
    file: &str,
    pod: &Pod,
    name: &str,
    listen: SocketAddr,
    flags: &[&str],
) -> Result<Running> {
    let mut command = pod.command(with);
    let (host, port) = (listen.ip().to_string(), listen.port().to_string());
    command.arg(Path::new(APPS).join(file)).args([name, &host, &port]).args(flags);
    Running::spawn("app", &mut command)
}

fn nginx(pod: &Pod, name: &str, listen: SocketAddr) -> Result<Running> {
    let config = fs::read_to_string(Path::new(APPS).join("nginx.conf"))?;
    let any = if listen.ip().is_unspecified() && listen.is_ipv6() { " ipv6only=off" } else { "" };
    let config = config.replace("@LISTEN@", &format!("{listen}{any}")).replace("@NAME@", name);
    let folder = target_dir().join("nginx").join(pod.netns().file_name().context("a pod's name")?);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("nginx.conf"), config)?;
    Running::spawn("nginx", pod.command("nginx").arg("-p").arg(&folder).args(["-c", "nginx.conf"]))
}

fn java(pod: &Pod, name: &str, listen: SocketAddr) -> Result<Running> {
    static BUILT: Mutex<()> = Mutex::new(());
    let classes = target_dir().join("server-java");
    let guard = BUILT.lock();
    built(Command::new("javac").arg("-d").arg(&classes).arg("Server.java"), "Java")?;
    drop(guard);
    let (host, port) = (listen.ip().to_string(), listen.port().to_string());
    let mut command = pod.command("java");
    // The thorough compiler only takes time from who waits here.
    command.args(["-XX:TieredStopAtLevel=1", "-cp"]).arg(&classes).args(["Server", name, &host, &port]);
    Running::spawn("java", &mut command)
}

fn built(command: &mut Command, what: &str) -> Result<()> {
    let output = command.current_dir(APPS).output();
    let output = output.with_context(|| format!("`cargo xtask setup` installs {what}"))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Built once for each process.
fn go() -> Result<PathBuf> {
    static BUILT: Mutex<()> = Mutex::new(());
    let binary = target_dir().join("server-go");
    let _guard = BUILT.lock();
    built(Command::new("go").args(["build", "-o"]).arg(&binary).arg("server.go"), "Go")?;
    Ok(binary)
}
