//! Loads of HTTP/2: requests by h2load, and messages of gRPC by the client of the agent's example `grpc`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use byway_tests::{Pod, Scratch};
use serde::Deserialize;

use super::{super::stats::median, Done, finish};
use crate::workspace;

/// What each stream asks.
#[derive(Clone, Debug)]
pub(in super::super) enum Asked {
    Get {
        path: &'static str,
        key: Option<&'static str>,
    },
    /// One message of 128 B each way.
    Unary,
}

/// h2load, with this many connections and streams at a time on each.
pub(super) fn streams(
    client: &Pod,
    app: SocketAddr,
    grpc: SocketAddr,
    (connections, streams): (u32, u32),
    what: &Asked,
    time: Duration,
) -> Result<Done> {
    let scratch = Scratch::new("h2load")?;
    let mut command = client.command(workspace::find("h2load").unwrap_or_else(|| "h2load".into()));
    command.args(["-t", if connections < 2 { "1" } else { "2" }, "-c", &connections.to_string()]).args([
        "-m",
        &streams.to_string(),
        "-D",
        &time.as_secs().to_string(),
    ]);
    match what {
        Asked::Get { path, key } => {
            if let Some(key) = key {
                command.args(["-H", &format!("x-byway-key: {key}")]);
            }
            command.arg(format!("http://{app}{path}"));
        }
        Asked::Unary => {
            let body = scratch.path().join("message");
            fs::write(&body, [&[0, 0, 0, 0, 128][..], &[b'x'; 128]].concat())?;
            command.arg("-d").arg(body);
            command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
            command.arg(format!("http://{grpc}/bench.Echo/Unary"));
        }
    }
    // Each request in a file: cheap where they come one by one, and what it prints has no median.
    let times = (connections * streams == 1).then(|| scratch.path().join("times"));
    if let Some(times) = &times {
        command.arg("--log-file").arg(times);
    }
    let log = finish("h2load", &mut command, time)?;
    let said = Said::read(&log).with_context(|| format!("h2load said:\n{log}"))?;
    ensure!(said.failed * 1000 <= said.requests, "{} requests failed:\n{log}", said.failed);
    let p50 = match times {
        Some(times) => median(took(&fs::read_to_string(times)?)),
        None => 0.0,
    };
    Ok(Done { amount: said.requests as f64, seconds: said.seconds, p50 })
}

/// Microseconds of each request: the third column of what h2load logs.
fn took(times: &str) -> impl Iterator<Item = f64> {
    times.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok())
}

struct Said {
    requests: u64,
    failed: u64,
    seconds: f64,
}

impl Said {
    /// From "finished in 2.00s, ..." and "requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, ...".
    fn read(log: &str) -> Option<Self> {
        let line = |start| log.lines().find_map(|line| line.strip_prefix(start));
        let time = line("finished in ")?.split(',').next()?;
        let seconds = match time.strip_suffix("ms") {
            Some(thousandths) => thousandths.parse::<f64>().ok()? / 1e3,
            None => time.strip_suffix('s')?.parse().ok()?,
        };
        let counts = line("requests: ")?;
        let count = |name| counts.split(", ").find_map(|c| c.strip_suffix(name)?.trim().parse().ok());
        // An answer that says no has failed, too.
        let well = line("status codes: ")?.split(" 2xx").next()?.parse::<u64>().ok()?;
        let done: u64 = count("done")?;
        Some(Self { requests: done, failed: count("errored")? + done.saturating_sub(well), seconds })
    }
}

#[derive(Deserialize)]
struct Messages {
    messages: u64,
    seconds: f64,
    p50: u64,
}

/// The example's client.
pub(super) fn messages(
    client: &Pod,
    grpc: SocketAddr,
    program: &Path,
    (connections, streams): (u32, u32),
    time: Duration,
) -> Result<Done> {
    let mut command = client.command(program);
    command.args(["load", &grpc.to_string(), &connections.to_string(), &streams.to_string()]);
    let log = finish("grpc", command.arg(time.as_secs().to_string()), time)?;
    let said: Messages =
        serde_json::from_str(log.trim()).with_context(|| format!("the client of gRPC said:\n{log}"))?;
    Ok(Done { amount: said.messages as f64, seconds: said.seconds, p50: said.p50 as f64 })
}

/// Who answers `GET /who`.
pub(in super::super) fn who(client: &Pod, app: SocketAddr, key: Option<&str>) -> Result<String> {
    let mut command = client.command(workspace::find("curl").unwrap_or_else(|| "curl".into()));
    command.args(["-sS", "--max-time", "10", "--http2-prior-knowledge"]);
    if let Some(key) = key {
        command.args(["-H", &format!("x-byway-key: {key}")]);
    }
    finish("curl", command.arg(format!("http://{app}/who")), Duration::ZERO)
}

/// Who answers `/bench.Echo/Who`.
pub(in super::super) fn who_of_grpc(
    client: &Pod,
    grpc: SocketAddr,
    program: &Path,
    key: Option<&str>,
) -> Result<String> {
    let mut command = client.command(program);
    command.args(["ask", &grpc.to_string()]).args(key);
    Ok(finish("grpc", &mut command, Duration::ZERO)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Said, took};

    #[test]
    fn the_time_of_each_request_is_read() {
        let times = "1764489600000000\t200\t312\n1764489600000312\t200\t98\n";
        assert_eq!(took(times).collect::<Vec<_>>(), [312.0, 98.0]);
    }

    #[test]
    fn what_h2load_says_is_read() {
        let log = "Main benchmark duration is over for thread #0.\n\nfinished in 2.01s, 51.50 req/s, 8.1KB/s\n\
                   requests: 103 total, 119 started, 103 done, 102 succeeded, 1 failed, 2 errored, 0 timeout\n\
                   status codes: 102 2xx, 0 3xx, 1 4xx, 0 5xx\n";
        let said = Said::read(log).unwrap();
        assert_eq!((said.requests, said.failed), (103, 3));
        assert_eq!(said.seconds, 2.01);
        assert!(Said::read("h2load: command not found").is_none());
    }
}
