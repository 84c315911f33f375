//! haproxy, nginx and envoy where the agent would be: in the app's namespace, steered to by the agent's own program,
//! routing on the same header, tuned as their documentation advises.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use byway_tests::{Net, Pod, Running, Scratch, eventually};

use super::contestant::{Contestant, Protocol};
use super::servers;
use super::settings::{APP_PORT, Programs, SECOND_PORT};
use crate::workspace;

mod http1;
mod http2;

/// Where a proxy listens itself.
const PROXY_PORT: u16 = 9080;

/// A proxy, and what steers to it. Dropped, the steering ends first.
pub(super) struct Proxy {
    _steering: Running,
    pub(super) server: Running,
}

/// Starts a proxy beside `app`.
pub(super) fn start(
    who: Contestant,
    protocol: Protocol,
    net: &Net,
    app: &Pod,
    preview: Ipv4Addr,
    programs: &Programs,
) -> Result<Proxy> {
    let server = match (who, protocol) {
        (Contestant::Haproxy, Protocol::Http1) => haproxy(app, &http1::haproxy(preview)),
        (Contestant::Haproxy, Protocol::Http2) => haproxy(app, &http2::haproxy(preview)),
        (Contestant::Nginx, Protocol::Http1) => servers::nginx(app, "nginx", &http1::nginx(preview)),
        (Contestant::Nginx, Protocol::Http2) => servers::nginx(app, "nginx", &http2::nginx(preview)),
        (Contestant::Envoy, Protocol::Http2) => envoy(app, &programs.envoy, &http2::envoy(preview)),
        _ => bail!("it is no proxy of {protocol:?} here"),
    };
    steered(net, app, server?, &programs.steer)
}

fn haproxy(app: &Pod, config: &str) -> Result<Running> {
    let program = workspace::find("haproxy").unwrap_or_else(|| "haproxy".into());
    configured(app, "haproxy", &program, &["-db", "-f"], config)
}

fn envoy(app: &Pod, program: &Path, config: &str) -> Result<Running> {
    let args = ["--concurrency", "2", "--disable-hot-restart", "--log-level", "warning", "--config-path"];
    configured(app, "envoy.yaml", program, &args, config)
}

/// Starts a program whose last argument is a file with `config`.
fn configured(app: &Pod, name: &str, program: &Path, args: &[&str], config: &str) -> Result<Running> {
    let scratch = Scratch::new(name)?;
    let file = scratch.path().join(name);
    fs::write(&file, config)?;
    let mut command = app.command(program);
    command.args(args).arg(&file);
    Ok(Running::spawn(name, &mut command)?.keeping(scratch))
}

fn steered(net: &Net, app: &Pod, mut server: Running, steer: &Path) -> Result<Proxy> {
    server.wait_listening(PROXY_PORT)?;
    let pid =
        server.listening_pid(PROXY_PORT).context("the proxy listens, but none of its processes does")?;
    let mut command = net.node().command(steer);
    command.arg(app.netns()).args([pid.to_string(), PROXY_PORT.to_string()]);
    command.args([APP_PORT, SECOND_PORT].map(|port| port.to_string()));
    let mut steering = Running::spawn("steer", &mut command)?;
    let ready = eventually(Duration::from_secs(20), || match steering.ended() {
        Ok(None) => steering.log().contains("steering").then_some(true),
        _ => Some(false),
    });
    if ready != Some(true) {
        bail!("the proxy cannot be steered to:\n{}", steering.log());
    }
    Ok(Proxy { _steering: steering, server })
}
