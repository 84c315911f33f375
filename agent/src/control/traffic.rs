//! What of the targets' traffic no header can match, for the acknowledgement: at once when it begins, and not more
//! often than once a minute when only numbers grow.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use byway_api::TargetTraffic;
use byway_http::Doubt;

use crate::{
    tables::Tables,
    target::{Counter, Target},
};

/// Mere numbers are told no more often.
const NUMBERS: Duration = Duration::from_secs(60);
/// A port must have been so for this long: an app that restarts is no news.
const SETTLED: Duration = Duration::from_secs(1);

/// What is told of each target, and what is about to be.
#[derive(Default)]
pub(super) struct Traffic {
    told: BTreeMap<String, Told>,
    numbers_told: Option<Instant>,
}

struct Told {
    traffic: TargetTraffic,
    /// Ports without a listener that differ from what is told, and since when.
    unsettled: Option<(Vec<u16>, Instant)>,
}

impl Traffic {
    /// Takes in how things are with all targets. Whether there is something to tell.
    pub(super) fn observe(&mut self, now: Instant, seen: impl Iterator<Item = TargetTraffic>) -> bool {
        let numbers_are_due = self.numbers_told.is_none_or(|told| now.duration_since(told) >= NUMBERS);
        let (mut news, mut numbers) = (false, false);
        let mut before = std::mem::take(&mut self.told);
        for seen in seen {
            let told = match before.remove(&seen.target) {
                Some(mut told) => {
                    news |= told.begins(&seen) || told.settles(now, &seen.not_listening);
                    // Ports go by a time of their own.
                    let seen = TargetTraffic { not_listening: told.traffic.not_listening.clone(), ..seen };
                    if told.traffic != seen && (numbers_are_due || told.begins(&seen)) {
                        told.traffic = seen;
                        numbers = true;
                    }
                    told
                }
                None => {
                    news |= is_told(&seen);
                    Told { traffic: seen, unsettled: None }
                }
            };
            self.told.insert(told.traffic.target.clone(), told);
        }
        news |= before.values().any(|gone| is_told(&gone.traffic));
        if numbers {
            self.numbers_told = Some(now);
        }
        news || numbers
    }

    /// What there is to tell.
    pub(super) fn told(&self) -> Vec<TargetTraffic> {
        self.told.values().map(|t| &t.traffic).filter(|t| is_told(t)).cloned().collect()
    }
}

impl Told {
    /// Whether the first connection of a kind has come, the last one of those that were there before has gone, or new ones
    /// go another way.
    fn begins(&self, seen: &TargetTraffic) -> bool {
        (self.traffic.old_connections == 0) != (seen.old_connections == 0)
            || (self.traffic.tls == 0 && seen.tls > 0)
            || (self.traffic.http2 == 0 && seen.http2 > 0)
            || self.traffic.ways != seen.ways
            || seen.passed_on.keys().any(|reason| !self.traffic.passed_on.contains_key(reason))
    }

    /// Takes over ports that have been so for long enough.
    fn settles(&mut self, now: Instant, ports: &[u16]) -> bool {
        if ports == self.traffic.not_listening {
            self.unsettled = None;
            return false;
        }
        match &self.unsettled {
            Some((unsettled, since)) if unsettled == ports => {
                let settled = now.duration_since(*since) >= SETTLED;
                if settled {
                    self.traffic.not_listening = ports.to_vec();
                    self.unsettled = None;
                }
                settled
            }
            _ => {
                self.unsettled = Some((ports.to_vec(), now));
                false
            }
        }
    }
}

/// Connections that the app got or gets whatever they carry, by the code of the reason.
pub(super) fn passed_on(tables: &Tables, target: &Target) -> BTreeMap<String, u64> {
    let mut passed = tables.passed_on(target.slot.index()).unwrap_or_else(|error| {
        tracing::warn!(%error, target = target.name, "cannot count the connections that passed by");
        BTreeMap::new()
    });
    let blind = Doubt::BlockTooLong;
    match target.counter(Counter::Opaque(blind)).load(Relaxed) {
        0 => {}
        count => drop(passed.insert(blind.code().to_owned(), count)),
    }
    passed
}

/// Whether a target is worth a word.
fn is_told(traffic: &TargetTraffic) -> bool {
    let TargetTraffic { target: _, tls, http2, old_connections, passed_on, ways, not_listening } = traffic;
    [tls, http2, old_connections].iter().any(|count| **count > 0)
        || !passed_on.is_empty()
        || !ways.is_empty()
        || !not_listening.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(tls: u64, http2: u64, not_listening: &[u16]) -> TargetTraffic {
        let not_listening = not_listening.to_vec();
        TargetTraffic { target: "a/b".to_owned(), tls, http2, not_listening, ..TargetTraffic::default() }
    }

    #[test]
    fn a_beginning_is_told_at_once_and_numbers_once_a_minute() {
        let (mut traffic, start) = (Traffic::default(), Instant::now());
        let mut at = |seconds: u64, what: TargetTraffic| {
            let news = traffic.observe(start + Duration::from_secs(seconds), [what].into_iter());
            (news, traffic.told().first().map_or((0, 0), |t| (t.tls, t.http2)))
        };
        assert_eq!(at(0, seen(0, 0, &[])), (false, (0, 0)));
        assert_eq!(at(1, seen(2, 0, &[])), (true, (2, 0)));
        assert_eq!(at(2, seen(3, 0, &[])), (false, (2, 0)));
        assert_eq!(at(3, seen(4, 1, &[])), (true, (4, 1)));
        assert_eq!(at(62, seen(9, 1, &[])), (false, (4, 1)));
        assert_eq!(at(63, seen(9, 1, &[])), (true, (9, 1)));
        assert_eq!(at(200, seen(9, 1, &[])), (false, (9, 1)));
    }

    #[test]
    fn the_first_old_connection_and_the_end_of_the_last_are_told_at_once() {
        let (mut traffic, start) = (Traffic::default(), Instant::now());
        let mut at = |seconds: u64, old_connections: u64| {
            let seen = TargetTraffic { old_connections, ..seen(0, 0, &[]) };
            let news = traffic.observe(start + Duration::from_secs(seconds), [seen].into_iter());
            (news, traffic.told().first().map_or(0, |t| t.old_connections))
        };
        assert_eq!(at(0, 0), (false, 0));
        assert_eq!(at(1, 3), (true, 3));
        assert_eq!(at(2, 2), (false, 3));
        assert_eq!(at(61, 1), (true, 1));
        assert_eq!(at(62, 0), (true, 0));
    }

    #[test]
    fn the_first_that_passed_by_is_told_at_once_for_each_reason() {
        let (mut traffic, start) = (Traffic::default(), Instant::now());
        let mut at = |seconds: u64, passed_on: &[(&str, u64)]| {
            let passed_on = passed_on.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect();
            let seen = TargetTraffic { passed_on, ..seen(0, 0, &[]) };
            let news = traffic.observe(start + Duration::from_secs(seconds), [seen].into_iter());
            (news, traffic.told().first().map_or(0, |t| t.passed_on.values().sum()))
        };
        assert_eq!(at(0, &[]), (false, 0));
        assert_eq!(at(1, &[("Backlog", 3)]), (true, 3));
        assert_eq!(at(2, &[("Backlog", 9)]), (false, 3));
        assert_eq!(at(3, &[("Backlog", 9), ("Stale", 1)]), (true, 10));
        assert_eq!(at(63, &[("Backlog", 20), ("Stale", 1)]), (true, 21));
    }

    #[test]
    fn what_is_passed_on_for_any_reason_is_said_in_words() {
        for why in byway_abi::Steer::PASSED_ON {
            let known = byway_api::passed_on(why.code());
            assert!(known.is_some(), "{}: add it to api/src/losses.rs", why.code());
        }
    }

    #[test]
    fn a_port_is_told_when_it_has_settled() {
        let (mut traffic, start) = (Traffic::default(), Instant::now());
        let mut at = |millis: u64, ports: &[u16]| {
            traffic.observe(start + Duration::from_millis(millis), [seen(0, 0, ports)].into_iter())
        };
        assert!(at(0, &[80]), "as it was found");
        assert!(!at(100, &[80]));
        assert!(!at(200, &[]), "just starting");
        assert!(!at(600, &[80]), "and down again");
        assert!(!at(1700, &[]));
        assert!(!at(2600, &[]));
        assert!(at(2700, &[]));
        assert!(!at(5000, &[]));
        assert!(traffic.told().is_empty());
    }

    #[test]
    fn a_target_that_goes_is_told_if_it_was() {
        let (mut traffic, now) = (Traffic::default(), Instant::now());
        assert!(traffic.observe(now, [seen(1, 0, &[])].into_iter()));
        assert!(traffic.observe(now, std::iter::empty()));
        assert!(!traffic.observe(now, [seen(0, 0, &[])].into_iter()));
        assert!(!traffic.observe(now, std::iter::empty()));
    }
}
