//! What of the counts is in one acknowledgement, where there are more than fit: what the controller has not heard yet comes
//! first, then what it heard longest ago. So all of it is said within some acknowledgements, and again and again: one that
//! was never written, or that nobody has read, loses nothing.

use std::collections::HashMap;

use byway_api::PreviewRequests;

/// Most bytes of it. etcd takes objects of 1.5 MiB. The table is 768 KiB at most, and somewhat more as a text in an object;
/// what is live of so many previews takes a third of that.
const MOST: usize = 256 << 10;

/// What is said now, and what was said before.
#[derive(Default)]
pub(super) struct Word {
    now: Vec<PreviewRequests>,
    /// Of each preview what was said last, and in which word.
    before: HashMap<String, (PreviewRequests, u64)>,
    /// Counts the words.
    words: u64,
    is_partial: bool,
    leaves_news: bool,
}

impl Word {
    /// Chooses from all that there is to say.
    pub(super) fn choose(&mut self, all: impl Iterator<Item = PreviewRequests>) {
        let rank = |it: &PreviewRequests| match self.before.get(&it.preview) {
            Some((said, when)) => (said == it, *when),
            None => (false, 0),
        };
        let mut all: Vec<_> = all.map(|it| (rank(&it), it)).collect();
        all.sort_by_key(|(rank, _)| *rank); // stable: by their names, where it is all one
        let mut room = MOST;
        let fit = all.iter().take_while(|(_, it)| {
            let rest = room.checked_sub(size(it));
            room = rest.unwrap_or(0);
            rest.is_some()
        });
        let left = all.split_off(fit.count());
        self.words += 1;
        self.is_partial = !left.is_empty();
        self.leaves_news = left.iter().any(|((is_known, _), _)| !is_known);
        self.now = all.into_iter().map(|(_, it)| it).collect();
        self.now.sort_by(|a, b| a.preview.cmp(&b.preview));
        let left = left.into_iter().filter_map(|(_, it)| self.before.remove_entry(&it.preview));
        let said = self.now.iter().map(|it| (it.preview.clone(), (it.clone(), self.words)));
        self.before = left.chain(said).collect();
    }

    pub(super) fn said(&self) -> &[PreviewRequests] {
        &self.now
    }

    /// Whether not all fits.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Whether of what did not fit something is news.
    pub(super) fn leaves_news(&self) -> bool {
        self.leaves_news
    }
}

/// In an object, with the comma.
fn size(it: &PreviewRequests) -> usize {
    // Values that cannot fail to serialise.
    serde_json::to_vec(it).map_or(MOST, |text| text.len() + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use byway_api::{NodeRoutesStatus, RequestCounts, RouteStatus, losses::LOSSES};
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    /// Of a preview with long names, which loses for every reason.
    fn came(preview: usize, requests: u64) -> PreviewRequests {
        let lost = LOSSES.iter().map(|it| (it.code.to_owned(), requests)).collect();
        let counts = RequestCounts { requests, lost, missed: requests, ..RequestCounts::default() };
        let preview = format!("{}/preview-{preview:05}", "team".repeat(15));
        PreviewRequests { preview, counts, last_request_time: Timestamp::from_second(1_900_000_000).ok() }
    }

    fn length(word: &Word) -> usize {
        let status = NodeRoutesStatus { requests: word.said().to_vec(), ..NodeRoutesStatus::default() };
        serde_json::to_vec(&status).unwrap().len()
    }

    #[test]
    fn what_fits_is_said_whole() {
        let mut word = Word::default();
        let all = || (0..100).map(|n| came(n, 1));
        word.choose(all());
        assert!(word.said().iter().eq(&all().collect::<Vec<_>>()));
        assert!(!word.is_partial() && !word.leaves_news());
    }

    #[test]
    fn however_much_there_is_it_fits_and_all_of_it_is_said() {
        const PREVIEWS: usize = 4000;
        let mut word = Word::default();
        let mut heard: BTreeMap<String, RequestCounts> = BTreeMap::new();
        let mut say = |word: &mut Word, requests: u64| {
            word.choose((0..PREVIEWS).map(|n| came(n, requests)));
            assert!(length(word) < MOST + 100 && length(word) > MOST * 9 / 10, "{}", length(word));
            assert!(word.is_partial());
            heard.extend(word.said().iter().map(|it| (it.preview.clone(), it.counts.clone())));
            let now = came(0, requests).counts;
            heard.values().filter(|it| **it == now).count()
        };
        let mut words = 1;
        while say(&mut word, 1) < PREVIEWS {
            assert!(word.leaves_news());
            words += 1;
        }
        assert!(words <= 20, "{words}");
        assert!(
            !word.leaves_news(),
            "all is known: from now on it is said again, in case that a word was lost"
        );
        let first = word.said()[0].clone();
        let again = (0..words).position(|_| {
            say(&mut word, 1);
            word.said().contains(&first)
        });
        assert!(again.is_some());
        // What grows meanwhile comes with the next word on it.
        let more = (1..).find(|_| say(&mut word, 2) == PREVIEWS);
        assert_eq!(more, Some(words));
    }

    /// The object of a node that has as many previews as its table takes, all of them live.
    #[test]
    fn the_object_that_it_is_in_is_one_that_etcd_takes() {
        const TABLE: usize = 768 << 10;
        const ETCD: usize = 1536 << 10;
        for (namespace, name) in [("team", "pr"), (&*"team".repeat(15), &*"preview-".repeat(7))] {
            let (mut routes, mut targets, mut previews) = (vec![], vec![], vec![]);
            let mut len = 0;
            for n in 10_000.. {
                let name = format!("{namespace}/{name}{n}");
                let revision = "0123456789ab".to_owned();
                let route = json!({
                    "name": name, "revision": revision, "key": format!("pr-{n}"), "ports": [8080],
                    "expiresAt": "2030-01-01T00:00:00Z", "backends": [],
                });
                len += route.to_string().len() + name.len() + 4;
                if len > TABLE {
                    break;
                }
                routes.push(route);
                targets.push(name.clone());
                previews.push(RouteStatus { name, revision: Some(revision), ..RouteStatus::default() });
            }
            let table =
                json!({ "previews": routes, "targets": [{ "name": "team/app", "previews": targets }] });
            let mut word = Word::default();
            word.choose((0..4000).map(|n| came(n, 1)));
            let status =
                NodeRoutesStatus { previews, requests: word.said().to_vec(), ..NodeRoutesStatus::default() };
            let object = json!({ "spec": { "table": table.to_string() }, "status": status });
            let len = object.to_string().len();
            // Beside it: what is not live, what is seen on targets, the metadata.
            assert!(len + (128 << 10) < ETCD, "{len}");
        }
    }

    #[test]
    fn news_comes_first() {
        let mut word = Word::default();
        (0..3).for_each(|_| word.choose((0..1000).map(|n| came(n, 1))));
        let said = |word: &Word, preview: usize| word.said().contains(&came(preview, 2));
        word.choose((0..1000).map(|n| came(n, if n % 300 == 299 { 2 } else { 1 })));
        assert!([299, 599, 899].iter().all(|preview| said(&word, *preview)));
    }
}
