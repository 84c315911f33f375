//! haproxy and nginx where the agent would be: in the app's namespace, steered to by the agent's own program,
//! routing on the same header, tuned as their documentation advises.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use byway_tests::{Net, Pod, Running, Scratch, eventually};

use super::servers;
use super::stage::{APP_DIRECT_PORT, APP_PORT, KEY, SINK_DIRECT_PORT, SINK_PORT};
use crate::workspace;

/// Where a proxy listens itself.
const PROXY_PORT: u16 = 9080;

/// A proxy, and what steers to it. Dropped, the steering ends first.
pub(super) struct Proxy {
    _steering: Running,
    pub(super) server: Running,
}

pub(super) fn haproxy(net: &Net, app: &Pod, preview: Ipv4Addr, steer: &Path) -> Result<Proxy> {
    let scratch = Scratch::new("haproxy.cfg")?;
    let file = scratch.path().join("haproxy.cfg");
    let config = format!(
        "global
             nbthread 2
             maxconn 4096
             tune.bufsize 65536
         defaults
             mode http
             option splice-auto
             option http-no-delay
             http-reuse always
             timeout connect 5s
             timeout client 1h
             timeout server 1h
             timeout http-keep-alive 1h
         frontend steered
             bind 0.0.0.0:{PROXY_PORT} shards by-thread backlog 4096
             acl keyed req.hdr(x-byway-key) -m str {KEY}
             use_backend sink if {{ path /sink }}
             use_backend preview if keyed
             default_backend app
         backend app
             server app 127.0.0.1:{APP_DIRECT_PORT} pool-max-conn 128
         backend preview
             server preview {preview}:{APP_PORT} pool-max-conn 128
         backend sink
             server sink 127.0.0.1:{SINK_DIRECT_PORT}
        "
    );
    fs::write(&file, config.trim_end().to_owned() + "\n")?;
    let program = workspace::find("haproxy").unwrap_or_else(|| "haproxy".into());
    let mut command = app.command(program);
    command.arg("-db").arg("-f").arg(&file);
    let server = Running::spawn("haproxy", &mut command)?.keeping(scratch);
    steered(net, app, server, steer)
}

pub(super) fn nginx(net: &Net, app: &Pod, preview: Ipv4Addr, steer: &Path) -> Result<Proxy> {
    let http = format!(
        "keepalive_timeout 1h;
         keepalive_requests 1000000000;
         client_max_body_size 0;
         upstream app {{ server 127.0.0.1:{APP_DIRECT_PORT}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 1h; }}
         upstream preview {{ server {preview}:{APP_PORT}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 1h; }}
         upstream sink {{ server 127.0.0.1:{SINK_DIRECT_PORT}; keepalive 128; }}
         map $http_x_byway_key $side {{ {KEY} preview; default app; }}
         proxy_http_version 1.1;
         proxy_set_header Connection \"\";
         proxy_set_header Host $http_host;
         proxy_request_buffering off;
         proxy_max_temp_file_size 0;
         proxy_buffer_size 16k;
         proxy_buffers 16 64k;
         proxy_busy_buffers_size 256k;
         server {{
             listen {PROXY_PORT} reuseport backlog=4096;
             location / {{ proxy_pass http://$side; }}
             location = /sink {{ proxy_pass http://sink; }}
         }}"
    );
    let server = servers::nginx(app, "nginx", &http)?;
    steered(net, app, server, steer)
}

fn steered(net: &Net, app: &Pod, mut server: Running, steer: &Path) -> Result<Proxy> {
    server.wait_listening(PROXY_PORT)?;
    let pid =
        server.listening_pid(PROXY_PORT).context("the proxy listens, but none of its processes does")?;
    let mut command = net.node().command(steer);
    command.arg(app.netns()).args([pid.to_string(), PROXY_PORT.to_string()]);
    command.args([APP_PORT, SINK_PORT].map(|port| port.to_string()));
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
