//! The rows of the table: which load, who takes part, and what is to be reached.

use std::time::Duration;

use anyhow::{Context, Result};

use super::contestant::Contestant;
use super::load::{Asked, Load, Requests};
use super::settings::KEY;
use super::stage::{Stage, Turn};
use crate::progress::Step;
use crate::signals;

/// One comparison.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) load: Load,
    contestants: Vec<Contestant>,
    goals: Vec<Goal>,
}

/// What is to be reached in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// Byway makes at least this many times the rate of the better proxy.
    OfBestProxy(f64),
    /// Byway makes at least this part of the direct rate.
    OfDirect(f64),
    /// Straight connections make at least this part of the direct rate.
    Straight(f64),
    /// They add at most so many microseconds to the median latency.
    StraightAdds(f64),
    /// The server's processor time per request is at most this many times the direct one.
    StraightCosts(f64),
    /// While all requests are copied the app makes at least this part of the direct rate.
    Mirroring(f64),
    /// Connections that were taken over are served as fast as those that were the agent's from the start.
    TakenLikeByway,
    /// Byway adds less than either proxy to the median latency.
    AddsLess,
    /// Byway takes less processor time than either proxy.
    CostsLess,
    /// An agent without a route on the target cannot be told from none.
    FreeWithoutRoute,
    /// The most routes cost the same as one.
    ManyLikeOne,
}

/// All turns of a row, per contestant and in the order of the rounds.
pub(super) struct Results {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) turns: Vec<(Contestant, Vec<Turn>)>,
    pub(super) goals: Vec<Goal>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Requests,
    Messages,
    Megabytes,
}

/// Every row there is.
pub(super) fn all() -> Vec<Row> {
    use Goal::{
        AddsLess, CostsLess, FreeWithoutRoute, ManyLikeOne, OfBestProxy, OfDirect, Straight, StraightAdds,
        StraightCosts, TakenLikeByway,
    };
    let (most, straight, costs) = (OfBestProxy(1.3), Straight(0.95), StraightCosts(1.07));
    let long = |connections| Load::Requests(Requests { long: true, ..asked(connections, "/") });
    let close = Load::Requests(Requests { close: true, ..asked(16, "/") });
    let mut rows = vec![
        row("requests-1-128", requests(1, "/"), &[AddsLess, CostsLess, straight, StraightAdds(2.0)]),
        row("requests-1-64k", requests(1, "/64k"), &[AddsLess, CostsLess, straight, StraightAdds(2.0)]),
        row("requests-16-128", requests(16, "/"), &[most, CostsLess, straight, costs]),
        row("requests-16-64k", requests(16, "/64k"), &[most, CostsLess, straight, costs]),
        row("requests-64-128", requests(64, "/"), &[most, CostsLess, straight, costs]),
        row("requests-64-64k", requests(64, "/64k"), &[most, CostsLess, straight, costs]),
        row("long-1-128", long(1), &[straight, StraightAdds(2.0)]),
        row("long-16-128", long(16), &[straight, costs]),
        row("long-64-128", long(64), &[straight, costs]),
        row("keyed-16-128", keyed(KEY), &[CostsLess, TakenLikeByway]),
        row("close-16-128", close, &[Straight(0.9)]),
        row("download-1g", Load::Download, &[OfDirect(0.8), Straight(0.97)]),
        row("upload-1g", Load::Upload, &[OfDirect(0.8), Straight(0.97)]),
    ];
    let routed = |counts: &[u32]| {
        let byway = counts.iter().map(|routes| Contestant::Byway { routes: *routes });
        let straight = counts.iter().filter(|it| **it > 0).map(|it| Contestant::Straight { routes: *it });
        [Contestant::Direct].into_iter().chain(byway).chain(straight).collect::<Vec<_>>()
    };
    let mut routes = |name, load, counts: &[u32], goals: &[Goal]| {
        rows.push(Row { name, load, contestants: routed(counts), goals: goals.to_vec() });
    };
    routes("routes-unkeyed", requests(16, "/"), &[0, 1, 100, 10_000], &[FreeWithoutRoute, ManyLikeOne]);
    routes("routes-unknown-key", keyed("no-such-key"), &[1, 100, 10_000], &[ManyLikeOne]);
    routes("routes-keyed", keyed(KEY), &[1, 100, 10_000], &[ManyLikeOne]);
    let armed = vec![Contestant::Direct, Contestant::BYWAY, Contestant::Armed];
    rows.push(Row { name: "armed-16-128", load: requests(16, "/"), contestants: armed, goals: Vec::new() });
    let mirroring = |name, load| Row {
        name,
        load,
        contestants: vec![Contestant::Direct, Contestant::Mirroring],
        goals: vec![Goal::Mirroring(0.9)],
    };
    let close = Load::Requests(Requests { close: true, ..asked(16, "/") });
    rows.push(mirroring("mirror-16-128", requests(16, "/")));
    rows.push(mirroring("mirror-16-64k", requests(16, "/64k")));
    rows.push(mirroring("mirror-close-16-128", close));
    rows.push(mirroring("mirror-upload-1g", Load::Upload));
    rows.extend(http2());
    rows
}

/// Named after connections and the streams at a time on each.
fn http2() -> Vec<Row> {
    use Goal::{AddsLess, CostsLess, OfBestProxy};
    let both = &[OfBestProxy(1.3), CostsLess];
    let get = |connections, streams, path| streams_of(connections, streams, Asked::Get { path, key: None });
    let grpc = |connections, streams| streams_of(connections, streams, Asked::Unary);
    let messages = |connections, streams| Load::Messages { connections, streams };
    let keyed = streams_of(16, 16, Asked::Get { path: "/", key: Some(KEY) });
    vec![
        row("h2-1x1-128", get(1, 1, "/"), &[AddsLess, CostsLess]),
        row("h2-1x16-128", get(1, 16, "/"), &[CostsLess]),
        row("h2-16x1-128", get(16, 1, "/"), both),
        row("h2-16x16-128", get(16, 16, "/"), both),
        row("h2-64x1-128", get(64, 1, "/"), &[CostsLess]),
        row("h2-64x16-128", get(64, 16, "/"), &[CostsLess]),
        row("h2-16x1-64k", get(16, 1, "/64k"), both),
        row("h2-16x16-64k", get(16, 16, "/64k"), both),
        row("h2-keyed-16x16-128", keyed, &[CostsLess]),
        row("grpc-unary-1x1", grpc(1, 1), &[AddsLess, CostsLess]),
        row("grpc-unary-16x1", grpc(16, 1), both),
        row("grpc-unary-16x16", grpc(16, 16), both),
        row("grpc-stream-16x1", messages(16, 1), both),
        row("grpc-stream-16x16", messages(16, 16), both),
    ]
}

fn streams_of(connections: u32, streams: u32, what: Asked) -> Load {
    Load::Streams { connections, streams, what }
}

fn row(name: &'static str, load: Load, goals: &[Goal]) -> Row {
    let contestants = load.protocol().contestants();
    Row { name, load, contestants, goals: goals.to_vec() }
}

fn requests(connections: u32, path: &'static str) -> Load {
    Load::Requests(asked(connections, path))
}

fn keyed(key: &str) -> Load {
    Load::Requests(Requests { key: Some(key.to_owned()), ..asked(16, "/") })
}

pub(super) fn asked(connections: u32, path: &'static str) -> Requests {
    Requests { connections, path, close: false, key: None, long: false }
}

/// Gives everybody a turn, round by round.
pub(super) fn run(stage: &mut Stage<'_>, row: &Row, rounds: u32, time: Duration) -> Result<Results> {
    let step = Step::start(format!("{} ({rounds} rounds of {})", row.name, row.contestants.len()));
    let mut turns: Vec<_> = row.contestants.iter().map(|who| (*who, Vec::new())).collect();
    for _ in 0..rounds {
        for (who, turns) in &mut turns {
            signals::check()?;
            let turn = stage.ready(*who)?.turn(&row.load, time);
            turns.push(turn.with_context(|| format!("{}, {who}", row.name))?);
        }
    }
    step.done();
    let unit = match row.load {
        Load::Requests(_) | Load::Streams { .. } => Unit::Requests,
        Load::Messages { .. } => Unit::Messages,
        Load::Download | Load::Upload => Unit::Megabytes,
    };
    Ok(Results { name: row.name, unit, turns, goals: row.goals.clone() })
}
