//! The tables, and which goals were reached. It never fails: a slow machine is no error.

use std::fmt;

use serde_json::{Value, json};

use super::contestant::Contestant;
use super::endure::Endurance;
use super::memory::Memory;
use super::rows::{Goal, Results, Unit};
use super::stage::Turn;
use super::stats::{median, noise};

/// Two rates nearer than this are the same, however quiet the machine.
const SAME: f64 = 0.03;

/// Everything that was measured.
#[derive(Default)]
pub(super) struct Report {
    pub(super) rows: Vec<Results>,
    pub(super) memory: Option<Memory>,
    pub(super) endurance: Vec<Endurance>,
}

/// A goal, and what became of it.
struct Verdict {
    row: &'static str,
    goal: String,
    found: String,
    reached: bool,
}

/// One contestant in one row, in medians.
struct Summary {
    who: Contestant,
    rate: f64,
    of_direct: f64,
    p50: f64,
    /// Microseconds of processor time per request or megabyte.
    between: f64,
    total: f64,
}

impl Results {
    fn turns(&self, who: Contestant) -> &[Turn] {
        self.turns.iter().find(|(w, _)| *w == who).map_or(&[], |(_, turns)| turns)
    }

    /// Median of the ratios of the rates of each round.
    fn ratio(&self, a: Contestant, b: Contestant) -> f64 {
        median(self.turns(a).iter().zip(self.turns(b)).map(|(a, b)| a.rate() / b.rate()))
    }

    /// The smaller ratio: to whichever proxy is the better one, round by round.
    fn of_best_proxy(&self, a: Contestant) -> f64 {
        let proxies: Vec<_> = self.turns.iter().filter(|(who, _)| who.is_proxy()).collect();
        median(self.turns(a).iter().enumerate().map(|(round, turn)| {
            let best = proxies.iter().filter_map(|(_, t)| t.get(round)).map(Turn::rate).fold(0.0, f64::max);
            turn.rate() / best
        }))
    }

    fn summary(&self, who: Contestant) -> Summary {
        let turns = self.turns(who);
        let per = |time: fn(&Turn) -> f64| median(turns.iter().map(|t| time(t) * 1e6 / t.done.amount));
        Summary {
            who,
            rate: median(turns.iter().map(Turn::rate)),
            of_direct: self.ratio(who, Contestant::Direct),
            p50: median(turns.iter().map(|t| t.done.p50)),
            between: per(|t| t.spent.between.as_secs_f64()),
            total: per(|t| t.spent.total.as_secs_f64()),
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        self.turns.iter().map(|(who, _)| self.summary(*who)).collect()
    }

    fn proxies(&self) -> Vec<Summary> {
        self.summaries().into_iter().filter(|s| s.who.is_proxy()).collect()
    }

    /// How far the direct rate itself varies.
    fn noise(&self) -> f64 {
        let rates: Vec<f64> = self.turns(Contestant::Direct).iter().map(Turn::rate).collect();
        noise(&rates).max(SAME)
    }

    fn verdict(&self, goal: Goal) -> Verdict {
        let byway = Contestant::BYWAY;
        let (text, found, reached) = match goal {
            Goal::OfBestProxy(least) => {
                let ratio = self.of_best_proxy(byway);
                (format!("{least} times the better proxy"), format!("{ratio:.2}"), ratio >= least)
            }
            Goal::OfDirect(least) => {
                let ratio = self.ratio(byway, Contestant::Direct);
                (format!("{least} of direct"), format!("{ratio:.2}"), ratio >= least)
            }
            Goal::Straight(least) => {
                let ratio = self.ratio(Contestant::STRAIGHT, Contestant::Direct);
                (format!("straight: {least} of direct"), format!("{ratio:.3}"), ratio >= least)
            }
            Goal::Mirroring(least) => {
                let ratio = self.ratio(Contestant::Mirroring, Contestant::Direct);
                (format!("while all is copied: {least} of direct"), format!("{ratio:.3}"), ratio >= least)
            }
            Goal::StraightAdds(most) => {
                let adds = self.summary(Contestant::STRAIGHT).p50 - self.summary(Contestant::Direct).p50;
                (format!("straight: adds at most {most} µs to p50"), format!("{adds:.1} µs"), adds <= most)
            }
            Goal::StraightCosts(most) => {
                let cost = |who| self.summary(who).total;
                let ratio = cost(Contestant::STRAIGHT) / cost(Contestant::Direct);
                (format!("straight: server CPU at most {most}"), format!("{ratio:.3}"), ratio <= most)
            }
            Goal::TakenLikeByway => {
                let ratio = self.ratio(Contestant::STRAIGHT, byway);
                let noise = self.noise();
                let found = format!("{ratio:.3}, noise {noise:.3}");
                ("taken over: as through the agent".to_owned(), found, ratio >= 1.0 - noise)
            }
            Goal::AddsLess => {
                let direct = self.summary(Contestant::Direct).p50;
                let adds = |s: &Summary| s.p50 - direct;
                let own = adds(&self.summary(byway));
                let least = self.proxies().iter().map(adds).fold(f64::INFINITY, f64::min);
                let found = format!("{own:.0} µs, they {least:.0} µs");
                ("adds less to p50 than the proxies".to_owned(), found, own < least)
            }
            Goal::CostsLess => {
                let own = self.summary(byway).total;
                let least = self.proxies().iter().map(|s| s.total).fold(f64::INFINITY, f64::min);
                let found = format!("{own:.1} µs, they {least:.1} µs");
                ("less server CPU per request than the proxies".to_owned(), found, own < least)
            }
            Goal::FreeWithoutRoute => {
                let ratio = self.ratio(Contestant::Byway { routes: 0 }, Contestant::Direct);
                let noise = self.noise();
                let found = format!("{ratio:.3}, noise {noise:.3}");
                ("no live route: as direct".to_owned(), found, ratio >= 1.0 - noise)
            }
            Goal::ManyLikeOne => {
                let ratio = self.ratio(Contestant::Byway { routes: 10_000 }, byway);
                let straight = self.ratio(Contestant::Straight { routes: 10_000 }, Contestant::STRAIGHT);
                let noise = self.noise();
                let found = format!("{ratio:.3}, straight {straight:.3}, noise {noise:.3}");
                ("10,000 routes as one".to_owned(), found, ratio.min(straight) >= 1.0 - noise)
            }
        };
        Verdict { row: self.name, goal: text, found, reached }
    }
}

impl Report {
    fn verdicts(&self) -> Vec<Verdict> {
        let rows = self.rows.iter().flat_map(|row| row.goals.iter().map(|goal| row.verdict(*goal)));
        let memory = self.memory.iter().flat_map(|m| {
            let mib = m.idle as f64 / f64::from(1 << 20);
            let kib = m.per_connection / 1024.0;
            [
                ("30 MiB at rest", format!("{mib:.1} MiB"), m.idle < Memory::IDLE_GOAL),
                (
                    "16 KiB per idle connection",
                    format!("{kib:.1} KiB"),
                    m.per_connection < Memory::PER_CONNECTION_GOAL,
                ),
            ]
            .map(|(goal, found, reached)| Verdict {
                row: "memory",
                goal: goal.to_owned(),
                found,
                reached,
            })
        });
        let endurance =
            self.endurance.iter().filter(|e| e.contestant == Contestant::BYWAY).map(|e| Verdict {
                row: e.name,
                goal: "the rate holds for two minutes".to_owned(),
                found: format!("last/first {:.2}, {} failed", e.held(), e.failed),
                reached: e.held() >= Endurance::GOAL && e.failed == 0,
            });
        rows.chain(memory).chain(endurance).collect()
    }

    /// The same as the tables, and every single turn.
    pub(super) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let contestants = row.summaries().into_iter().map(|s| {
                json!({
                    "name": s.who.to_string(),
                    "rate": s.rate,
                    "of_direct": s.of_direct,
                    "of_best_proxy": row.of_best_proxy(s.who),
                    "p50_us": s.p50,
                    "cpu_between_us": s.between,
                    "cpu_total_us": s.total,
                    "rates": row.turns(s.who).iter().map(Turn::rate).collect::<Vec<_>>(),
                })
            });
            let unit = match row.unit {
                Unit::Requests => "requests/s",
                Unit::Messages => "messages/s",
                Unit::Megabytes => "MB/s",
            };
            json!({ "row": row.name, "unit": unit, "contestants": contestants.collect::<Vec<_>>() })
        });
        let memory = self.memory.map(|m| {
            json!({
                "idle": m.idle,
                "watchdog": m.watchdog,
                "per_connection": m.per_connection,
                "straight": m.straight,
                "per_straight": m.per_straight,
                "of_straight": m.of_straight,
            })
        });
        let endurance = self.endurance.iter().map(|e| {
            json!({
                "row": e.name,
                "name": e.contestant.to_string(),
                "rates": e.rates,
                "last_of_first": e.held(),
                "failed": e.failed,
            })
        });
        let goals = self
            .verdicts()
            .into_iter()
            .map(|v| json!({ "row": v.row, "goal": v.goal, "found": v.found, "reached": v.reached }));
        json!({
            "rows": rows.collect::<Vec<_>>(),
            "memory": memory,
            "endurance": endurance.collect::<Vec<_>>(),
            "goals": goals.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            write!(f, "{row}")?;
        }
        if let Some(memory) = &self.memory {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            writeln!(
                f,
                "\nmemory: {:.1} MiB at rest (and {:.1} MiB for the watchdog), {:.1} KiB per idle connection ({} of them)",
                mib(memory.idle),
                mib(memory.watchdog),
                memory.per_connection / 1024.0,
                Memory::CONNECTIONS,
            )?;
            writeln!(
                f,
                "of {} that go straight: {:.0} bytes of the kernel's maps for each, and {:.1} MiB of the agent for all",
                memory.straight,
                memory.per_straight,
                mib(memory.of_straight),
            )?;
        }
        for e in &self.endurance {
            let rates: Vec<String> = e.rates.iter().map(|rate| format!("{rate:.0}")).collect();
            writeln!(f, "\n{}, {}: connections/s per 10 s: {}", e.name, e.contestant, rates.join(" "))?;
        }
        let verdicts = self.verdicts();
        if !verdicts.is_empty() {
            writeln!(f, "\n{:<22} {:<46} {:<26} ", "row", "goal", "found")?;
        }
        for v in verdicts {
            let reached = if v.reached { "reached" } else { "NOT reached" };
            writeln!(f, "{:<22} {:<46} {:<26} {reached}", v.row, v.goal, v.found)?;
        }
        Ok(())
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, per) = match self.unit {
            Unit::Requests => ("req/s", "µs CPU/req"),
            Unit::Messages => ("msg/s", "µs CPU/msg"),
            Unit::Megabytes => ("MB/s", "µs CPU/MB"),
        };
        writeln!(
            f,
            "\n{:<22} {rate:>9} {:>9} {:>10} {:>8} {:>8} {:>16} {:>10}",
            self.name, "of direct", "of best *", "p50 µs", "added", per, "with app"
        )?;
        let direct = self.summary(Contestant::Direct).p50;
        let proxied = !self.proxies().is_empty();
        for s in self.summaries() {
            let of_best = if proxied { format!("{:.2}", self.of_best_proxy(s.who)) } else { "-".to_owned() };
            let p50 = |value: f64| if s.p50 > 0.0 { format!("{value:.0}") } else { "-".to_owned() };
            writeln!(
                f,
                "  {:<20} {:>9.0} {:>9.2} {of_best:>10} {:>8} {:>8} {:>16.1} {:>10.1}",
                s.who,
                s.rate,
                s.of_direct,
                p50(s.p50),
                p50(s.p50 - direct),
                s.between,
                s.total
            )?;
        }
        Ok(())
    }
}
