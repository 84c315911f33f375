//! Agents follow each other under everything that real clients do.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{Peers, Running, eventually};

use crate::clients::{self, Told};
use crate::{GO, GRPC, KEY, SOON, Stage, transfers, tunnels};

const UPGRADES: u32 = 4;
/// Between two of them: less than a drain, so that three agents serve at times.
const EVERY: Duration = Duration::from_secs(6);
const DRAIN: Duration = Duration::from_secs(8);
/// How long programs ask that stop by themselves.
const SECONDS: &str = "28";

#[test]
fn nobody_notices_that_agents_follow_each_other() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.servers();
    let mut agents = vec![stage.agent(DRAIN)];
    let told = Told::default();
    let begun = Instant::now();
    let mut programs = programs(&stage);
    let mut clients = clients::short(&stage, &told);
    clients.extend(transfers::slow(&stage, &told));
    clients.push(tunnels::short(&stage, &told));

    let mut cut = Vec::new();
    for n in 1..=UPGRADES {
        sleep((EVERY * n).saturating_sub(begun.elapsed()));
        let outlive = tunnels::long(&stage);
        let next = stage.agent(DRAIN);
        let told_to_stop = Instant::now();
        agents.last().unwrap().sigterm().unwrap();
        agents.push(next);
        cut.push((told_to_stop, outlive));
    }
    for program in &mut programs {
        let ended = eventually(SOON * 2, || program.ended().unwrap());
        let log = program.log();
        // What a program's log ends with is its figures: the calls that failed stand before.
        let failed = log.lines().filter(|line| line.contains(" failed: "));
        let end = log.lines().skip(log.lines().count().saturating_sub(2));
        eprintln!("{}", failed.chain(end).collect::<Vec<_>>().join("\n"));
        if !ended.is_some_and(|status| status.success()) {
            told.complain(format!("a program ended with {ended:?}"));
        }
    }
    told.stop();
    clients.into_iter().for_each(|clients| clients.join(10));
    for (told_to_stop, tunnels) in cut {
        for tunnel in tunnels {
            let lived = tunnel.join().unwrap() - told_to_stop;
            eprintln!("a tunnel was cut {lived:?} after the agent was told to stop");
            assert!(lived >= DRAIN && lived < DRAIN + SOON, "cut after {lived:?}");
        }
    }
    let last = agents.pop();
    for mut agent in agents {
        let ended = eventually(SOON, || agent.ended().unwrap());
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{}", agent.log());
    }
    assert_eq!(told.complaints(), [""; 0]);
    drop(last);
}

/// Clients that others wrote; those of HTTP/2 and gRPC keep their connections for as long as they may.
fn programs(stage: &Stage) -> Vec<Running> {
    let start = |name: &str, program: &Path, args: &[&str]| {
        Running::spawn(name, stage.client.command(program).args(args)).unwrap()
    };
    let url = format!("http://{}", stage.to(GO));
    let go = Peers::Http2.program("http2-client").unwrap();
    let mut all: Vec<_> =
        ["1", "2"].into_iter().map(|version| start("go", &go, &[version, &url, KEY, SECONDS])).collect();

    let server = format!("-server_host={}", stage.app.ipv4);
    let (port, key) = (format!("-server_port={GRPC}"), format!("-additional_metadata=x-byway-key:{KEY}"));
    let grpc = Peers::Http2.program("grpc-client").unwrap();
    for keyed in [None, Some(&*key)] {
        // Ten a second on one connection, and a connection for each.
        for (case, many) in [("rpc", "-soak_iterations=280"), ("channel", "-soak_iterations=140")] {
            let pause = if case == "rpc" { "100" } else { "200" };
            let args = [
                &server,
                &port,
                &format!("-test_case={case}_soak"),
                many,
                &format!("-soak_min_time_ms_between_rpcs={pause}"),
                "-soak_per_iteration_max_acceptable_latency_ms=10000",
                "-soak_overall_timeout_seconds=60",
            ];
            let args: Vec<&str> = args.into_iter().chain(keyed).collect();
            all.push(start("grpc", &grpc, &args));
        }
    }
    all
}
