//! Two minutes of a connection per request: does the rate hold, or do ports and tables run full?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::contestant::Contestant;
use super::load::{Load, Requests, ask_and_close};
use super::rows::asked;
use super::stage::{Ready, Stage};
use crate::progress::Step;
use crate::signals;

const INTERVAL: Duration = Duration::from_secs(10);
const INTERVALS: usize = 12;
const CLIENTS: u32 = 16;

/// Rates of one way of closing.
#[derive(Clone, Debug)]
pub(super) struct Endurance {
    pub(super) name: &'static str,
    pub(super) contestant: Contestant,
    /// Requests per second, per interval.
    pub(super) rates: Vec<f64>,
    /// Connections that failed.
    pub(super) failed: u64,
}

impl Endurance {
    /// What the rate at the end must be, of that at the start.
    pub(super) const GOAL: f64 = 0.95;

    /// The last 30 seconds beside the first.
    pub(super) fn held(&self) -> f64 {
        let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len().max(1) as f64;
        let third = 3.min(self.rates.len());
        mean(&self.rates[self.rates.len() - third..]) / mean(&self.rates[..third])
    }
}

pub(super) fn run(stage: &mut Stage<'_>, filter: &str) -> Result<Vec<Endurance>> {
    let mut all = Vec::new();
    for name in ["endure-app-closes", "endure-client-closes"] {
        if !name.contains(filter) {
            continue;
        }
        for contestant in [Contestant::Direct, Contestant::BYWAY] {
            let step =
                Step::start(format!("{name}, {contestant} ({} s)", INTERVAL.as_secs() * INTERVALS as u64));
            let ready = stage.ready(contestant)?;
            let (rates, failed) =
                if name == "endure-app-closes" { app_closes(&ready)? } else { client_closes(stage, &ready)? };
            all.push(Endurance { name, contestant, rates, failed });
            step.done();
        }
    }
    Ok(all)
}

fn app_closes(ready: &Ready<'_>) -> Result<(Vec<f64>, u64)> {
    let load = Load::Requests(Requests { close: true, ..asked(CLIENTS, "/") });
    let rates = (0..INTERVALS).map(|_| Ok(ready.turn(&load, INTERVAL)?.rate())).collect::<Result<_>>()?;
    Ok((rates, 0)) // the load fails when more than a few fail
}

fn client_closes(stage: &Stage<'_>, ready: &Ready<'_>) -> Result<(Vec<f64>, u64)> {
    let (answered, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let to = ready.address();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (answered, failed, stop) = (Arc::clone(&answered), Arc::clone(&failed), Arc::clone(&stop));
            stage.client.thread(move || {
                let mut buffer = vec![0; 4096];
                while !stop.load(Ordering::Relaxed) {
                    let count = if ask_and_close(to, &mut buffer).is_ok() { &answered } else { &failed };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut rates = Vec::new();
    let slept = (0..INTERVALS).try_for_each(|_| {
        let (began, before) = (Instant::now(), answered.load(Ordering::Relaxed));
        signals::sleep(INTERVAL)?;
        let now = answered.load(Ordering::Relaxed);
        rates.push((now - before) as f64 / began.elapsed().as_secs_f64());
        Ok(())
    });
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let _ = client.join();
    }
    slept.map(|()| (rates, failed.load(Ordering::Relaxed)))
}
