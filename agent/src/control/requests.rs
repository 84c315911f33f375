//! What came to each preview, for the acknowledgement: at once when the first request comes, and not more often than once a
//! minute when only numbers grow. Where not all of it fits, [`Word`] says what comes first.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use byway_api::{PreviewRequests, RequestCounts};
use jiff::Timestamp;

use super::word::Word;
use crate::{
    snapshot::Leg,
    tables::{Tables, route_counter as counter},
};

/// Mere numbers are told no more often.
const NUMBERS: Duration = Duration::from_secs(60);
/// A request that waits for a preview is told, unless one was that is no older: the controller puts no preview to sleep that
/// was used so lately.
const CALLED: Duration = Duration::from_secs(10);
/// From one acknowledgement to the next while there is news that did not fit: the controller ends previews that nobody
/// has used for five minutes, and must have heard of all by then.
const MORE: Duration = Duration::from_secs(10);

/// What came to each preview through all targets of this node, by its name.
#[derive(Default)]
pub(super) struct Requests {
    /// Of routes that are gone while their preview stays: a pod that was replaced takes its counters along.
    retired: BTreeMap<String, Counted>,
    told: BTreeMap<String, Counted>,
    told_at: Option<Instant>,
    /// What of it is in the acknowledgement.
    word: Word,
}

/// Counters of a route, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    counts: RequestCounts,
    last_request_ms: u64,
}

impl Counted {
    pub(super) fn of(tables: &Tables, route: &Leg) -> Self {
        let words = tables.route_counters(route.index);
        let word = |index: usize| words[index].load(Relaxed);
        // Hardly any route has lost something.
        let losses = (word(counter::LOST) > 0).then(|| route.losses.counts());
        let lost = losses.into_iter().flatten().map(|(why, count)| (why.code().to_owned(), count));
        Self {
            counts: RequestCounts {
                requests: word(counter::REQUESTS),
                unreachable: word(counter::UNREACHABLE),
                overlapped: word(counter::OVERLAPPED),
                by_origin: word(counter::OPAQUE),
                missed: word(counter::MISSED),
                narrowed: word(counter::NARROWED),
                lost: lost.collect(),
                mirrored: route.copies.counts(),
            },
            last_request_ms: word(counter::LAST_REQUEST),
        }
    }

    fn of_preview(&self, preview: &str) -> PreviewRequests {
        PreviewRequests {
            preview: preview.to_owned(),
            counts: self.counts.clone(),
            last_request_time: last_request(self.last_request_ms),
        }
    }

    fn add(&mut self, other: &Self) {
        self.counts = self.counts.each(&other.counts, u64::saturating_add);
        self.last_request_ms = self.last_request_ms.max(other.last_request_ms);
    }
}

impl Requests {
    /// Keeps what a route counted that is about to go.
    pub(super) fn retire(&mut self, preview: &str, counted: &Counted) {
        self.retired.entry(preview.to_owned()).or_default().add(counted);
    }

    /// Takes in the counters of all routes, and which previews there are and sleep. Whether there is something to tell.
    pub(super) fn observe<'a>(
        &mut self,
        now: Instant,
        previews: impl Iterator<Item = (&'a str, bool)>,
        routes: impl Iterator<Item = (&'a str, Counted)>,
    ) -> bool {
        // Asked for twice a second, of ten thousand routes perhaps: names are copied only when there is something to tell.
        let kept = |preview: &str| self.retired.get(preview).cloned().unwrap_or_default();
        let mut asleep = Vec::new();
        let mut seen: BTreeMap<&str, Counted> = previews
            .map(|(preview, sleeps)| {
                asleep.extend(sleeps.then_some(preview));
                (preview, kept(preview))
            })
            .collect();
        self.retired.retain(|preview, _| seen.contains_key(preview.as_str()));
        for (preview, counted) in routes {
            if let Some(sum) = seen.get_mut(preview) {
                sum.add(&counted);
            }
        }
        seen.retain(|_, counted| *counted != Counted::default());
        let differs = |is_news: fn(&Counted, &Counted) -> bool| {
            let pairs = || self.told.iter().zip(&seen);
            self.told.len() != seen.len()
                || pairs().any(|((told, before), (preview, now))| told != preview || is_news(before, now))
        };
        // Also when the first one is missed, or lost for a reason.
        let begins_or_ends = differs(|before, now| {
            before.counts.missed == 0 && now.counts.missed > 0
                || before.counts.lost.len() < now.counts.lost.len()
        });
        // A request that waits for a preview to wake.
        let wakes = asleep.iter().any(|preview| {
            let last = |of: Option<&Counted>| of.map_or(0, |counted| counted.last_request_ms);
            last(seen.get(preview)) > last(self.told.get(*preview)) + CALLED.as_millis() as u64
        });
        let pause = if self.word.leaves_news() { MORE } else { NUMBERS };
        let is_due = self.told_at.is_none_or(|told| now.duration_since(told) >= pause);
        let tells = begins_or_ends || wakes || (is_due && (self.has_more() || differs(PartialEq::ne)));
        if tells {
            self.told = seen.into_iter().map(|(preview, counted)| (preview.to_owned(), counted)).collect();
            self.told_at = Some(now);
            self.word.choose(self.told.iter().map(|(preview, counted)| counted.of_preview(preview)));
        }
        tells
    }

    /// What there is to tell, as far as it fits.
    pub(super) fn told(&self) -> &[PreviewRequests] {
        self.word.said()
    }

    /// Whether not all of it fits.
    pub(super) fn has_more(&self) -> bool {
        self.word.is_partial()
    }
}

/// In whole seconds, as the API keeps it.
fn last_request(ms: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(ms / 1000).ok().filter(|seconds| *seconds > 0)?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn counted(requests: u64) -> Counted {
        let counts = RequestCounts { requests, ..RequestCounts::default() };
        Counted { counts, last_request_ms: requests * 1500 }
    }

    fn told(requests: &Requests) -> Vec<(String, u64)> {
        requests.told().iter().map(|it| (it.preview.clone(), it.counts.requests)).collect()
    }

    #[test]
    fn the_first_request_is_told_at_once_and_numbers_once_a_minute() {
        let (mut requests, start) = (Requests::default(), Instant::now());
        let mut at = |seconds: u64, a: u64, b: u64| {
            let now = start + Duration::from_secs(seconds);
            let routes = [("a", counted(a)), ("b", counted(b)), ("a", counted(a))];
            let news = requests.observe(now, [("a", false), ("b", false)].into_iter(), routes.into_iter());
            (news, told(&requests).into_iter().map(|(_, n)| n).collect::<Vec<_>>())
        };
        assert_eq!(at(0, 0, 0), (false, vec![]));
        assert_eq!(at(1, 2, 0), (true, vec![4]), "of both targets together");
        assert_eq!(at(2, 3, 0), (false, vec![4]));
        assert_eq!(at(3, 3, 1), (true, vec![6, 1]));
        assert_eq!(at(62, 9, 1), (false, vec![6, 1]));
        assert_eq!(at(63, 9, 1), (true, vec![18, 1]));
        assert_eq!(at(200, 9, 1), (false, vec![18, 1]));
    }

    #[test]
    fn who_wakes_a_preview_is_told_at_once() {
        let (mut requests, start) = (Requests::default(), Instant::now());
        let mut at = |seconds: u64, last: u64, sleeps: bool| {
            let counted = Counted { counts: RequestCounts::default(), last_request_ms: last * 1000 };
            let now = start + Duration::from_secs(seconds);
            requests.observe(now, [("a", sleeps)].into_iter(), [("a", counted)].into_iter())
        };
        assert!(at(0, 100, false));
        assert!(!at(1, 105, false), "it serves");
        assert!(!at(2, 108, true), "the controller knows that it is used");
        assert!(at(3, 111, true), "somebody waits");
        assert!(!at(4, 112, true), "that is known");
    }

    #[test]
    fn the_first_that_is_lost_for_a_reason_is_told_at_once() {
        let (mut requests, start) = (Requests::default(), Instant::now());
        let mut at = |seconds: u64, lost: &[(&str, u64)]| {
            let lost = lost.iter().map(|(code, n)| ((*code).to_owned(), *n)).collect();
            let counts = RequestCounts { requests: 1, lost, ..RequestCounts::default() };
            let counted = Counted { counts, last_request_ms: 0 };
            let now = start + Duration::from_secs(seconds);
            let news = requests.observe(now, [("a", false)].into_iter(), [("a", counted)].into_iter());
            (news, requests.told()[0].counts.lost.values().sum::<u64>())
        };
        assert_eq!(at(0, &[]), (true, 0));
        assert_eq!(at(1, &[("BareLf", 1)]), (true, 1));
        assert_eq!(at(2, &[("BareLf", 2)]), (false, 1));
        assert_eq!(at(3, &[("BareLf", 2), ("NulByte", 1)]), (true, 3));
        assert_eq!(at(62, &[("BareLf", 9), ("NulByte", 1)]), (false, 3));
        assert_eq!(at(63, &[("BareLf", 9), ("NulByte", 1)]), (true, 10));
    }

    #[test]
    fn what_does_not_fit_follows_soon_and_then_all_of_it_again() {
        let (mut requests, start) = (Requests::default(), Instant::now());
        let names: Vec<String> = (0..5000).map(|n| format!("{}/preview-{n}", "team".repeat(15))).collect();
        let names = || names.iter().map(String::as_str);
        let previews = || names().map(|name| (name, false));
        let mut at = |seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            let news = requests.observe(now, previews(), names().map(|name| (name, counted(1))));
            news.then(|| told(&requests).into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>())
        };
        let first = at(0).unwrap();
        assert_eq!(at(9), None);
        let (second, third) = (at(10).unwrap(), at(20).unwrap());
        assert!(first.is_disjoint(&second) && first.len() + second.len() < 5000);
        assert_eq!((&(&first | &second) | &third).len(), 5000);
        assert_eq!(at(30), None, "nothing is news any more");
        assert!(at(80).is_some_and(|again| again != third), "one of them may have been lost");
    }

    #[test]
    fn what_a_pod_counted_that_went_is_kept_as_long_as_its_preview() {
        let (mut requests, now) = (Requests::default(), Instant::now());
        requests.retire("a", &counted(3));
        requests.retire("a", &counted(4));
        assert!(requests.observe(now, [("a", false)].into_iter(), [("a", counted(5))].into_iter()));
        assert_eq!(told(&requests), [("a".to_owned(), 12)]);
        assert_eq!(requests.told()[0].last_request_time, Timestamp::from_second(7).ok());
        assert!(requests.observe(now, std::iter::empty(), std::iter::empty()), "it has gone");
        assert!(
            !requests.observe(now, [("a", false)].into_iter(), std::iter::empty()),
            "and a new one begins at nothing"
        );
        assert!(requests.told().is_empty());
    }
}
