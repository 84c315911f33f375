//! The app and its preview: nginx, as fast as it gets, so that what stands before it shows.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use byway_tests::{Pod, Running, Scratch};

use super::contestant::Protocol;
use super::settings::{APP_DIRECT_PORT, APP_PORT, SECOND_DIRECT_PORT, SECOND_PORT};
use crate::workspace;

/// The size of the large file.
pub(super) const LARGE: u64 = 1 << 30;

/// Files in memory that all servers share: `64k`, and `1g` without a block of its own.
pub(super) fn files() -> Result<Scratch> {
    let files = Scratch::in_memory("files")?;
    fs::write(files.path().join("64k"), vec![b'x'; 64 * 1024])?;
    File::create(files.path().join("1g"))?.set_len(LARGE)?;
    Ok(files)
}

/// Starts the app or a preview, which call themselves `says`.
///
/// It listens twice: on the steered port, and on one for proxies, whose connections must not be steered again.
pub(super) fn app(pod: &Pod, says: &str, files: &Path, protocol: Protocol) -> Result<Running> {
    let body = "x".repeat(128);
    let listen = match protocol {
        Protocol::Http1 => "reuseport backlog=4096",
        Protocol::Http2 => "http2 reuseport backlog=4096",
    };
    let http = format!(
        "sendfile on;
         tcp_nopush on;
         keepalive_timeout 1h;
         keepalive_requests 1000000000;
         server {{
             listen {APP_PORT} {listen};
             listen [::]:{APP_PORT} {listen};
             listen {APP_DIRECT_PORT} {listen};
             root {files};
             location = / {{ return 200 \"{body}\"; }}
             location = /who {{ return 200 \"{says} $server_port\"; }}
             location = /64k {{ }}
             location = /1g {{ }}
         }}",
        files = files.display(),
    );
    nginx(pod, says, &http)
}

/// Starts the server of gRPC that belongs to it, on the second port in the same two ways.
pub(super) fn grpc(pod: &Pod, says: &str, program: &Path) -> Result<Running> {
    let mut command = pod.command(program);
    command.args(["serve", says]).args([SECOND_PORT, SECOND_DIRECT_PORT].map(|port| port.to_string()));
    let mut server = Running::spawn("grpc", &mut command)?;
    server.wait_listening(SECOND_PORT)?;
    server.wait_listening(SECOND_DIRECT_PORT)?;
    Ok(server)
}

/// Starts nginx with two workers and this `http` section.
pub(super) fn nginx(pod: &Pod, name: &str, http: &str) -> Result<Running> {
    let scratch = Scratch::new(&format!("{name}.nginx"))?;
    let folder = scratch.path().display();
    let config = format!(
        "daemon off;
         user root;
         worker_processes 2;
         worker_rlimit_nofile 131072;
         pid {folder}/pid;
         error_log stderr warn;
         events {{ worker_connections 120000; }}
         http {{
             access_log off;
             tcp_nodelay on;
             client_body_temp_path {folder}/body;
             proxy_temp_path {folder}/proxy;
             fastcgi_temp_path {folder}/fastcgi;
             uwsgi_temp_path {folder}/uwsgi;
             scgi_temp_path {folder}/scgi;
             {http}
         }}"
    );
    let file = scratch.path().join("nginx.conf");
    fs::write(&file, config)?;
    let program = workspace::find("nginx").unwrap_or_else(|| "nginx".into());
    let mut command = pod.command(program);
    command.arg("-c").arg(&file).args(["-e", "stderr"]);
    Ok(Running::spawn(name, &mut command)?.keeping(scratch))
}
