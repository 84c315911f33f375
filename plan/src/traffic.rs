//! What came to each Preview: what the agents have said so far, and what was written of it before.

use std::collections::HashMap;
use std::sync::Arc;

use byway_api::{Instance, NodeRoutesStatus, Preview, PreviewRequests, RequestCounts};
use jiff::Timestamp;

use crate::identity::{ref_of, uid_of};
use crate::rows::{Name, PublishedRow, Ref};
use crate::table::Table;

#[cfg(test)]
mod tests;

/// What came to a Preview.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What became of it.
    pub counts: RequestCounts,
    /// When the last request came, as far as is known.
    pub last: Option<Timestamp>,
}

/// Sums of what agents say. They count by name and from their own start, so only what a word adds to the one before counts:
/// an agent that starts anew begins at zero, and a Preview of a name that was there before finds the words of the old one.
#[derive(Debug, Default)]
pub struct Sums {
    /// By UID of the Preview.
    sums: HashMap<Name, Traffic>,
    /// The last word of each node's agent.
    heard: HashMap<Name, Heard>,
}

/// What an agent said last.
#[derive(Debug, Default)]
struct Heard {
    instance: Option<Instance>,
    /// By UID of the Preview.
    words: HashMap<Name, Traffic>,
}

impl Sums {
    /// Begins with Previews that are new to this controller. What is said of one without a status is of an older one of its
    /// name. One with a status had another controller: of what came meanwhile there is only what agents say now, of what came
    /// before that only what was written, and from there on both are added to.
    pub fn begin<'a>(
        &mut self,
        previews: impl Iterator<Item = &'a Arc<Preview>>,
        node_routes: &Table<Name, PublishedRow>,
    ) {
        let new = previews.filter(|it| !self.sums.contains_key(&uid_of(it)));
        let new: HashMap<String, &Preview> = new.map(|it| (ref_of(it).to_string(), &**it)).collect();
        if new.is_empty() {
            return;
        }
        for preview in new.values() {
            self.sums.insert(uid_of(preview), Traffic::default());
        }
        for (node, row) in node_routes.iter() {
            let heard = self.heard.entry(node.clone()).or_default();
            heard.instance.clone_from(&row.status.instance);
            for said in &row.status.requests {
                let Some(preview) = new.get(said.preview.as_str()) else { continue };
                let uid = uid_of(preview);
                if preview.status.is_some()
                    && let Some(sum) = self.sums.get_mut(&uid)
                {
                    sum.add(&said.counts, said.last_request_time);
                }
                heard.words.insert(uid, Traffic::of(said));
            }
        }
        for preview in new.values() {
            if let (Some(sum), Some(written)) = (self.sums.get_mut(&uid_of(preview)), &preview.status) {
                sum.counts = sum.counts.each(&written.traffic, u64::max);
            }
        }
    }

    /// Takes in what the agent of a node says now.
    pub fn hear(
        &mut self,
        node: &Name,
        status: Option<&NodeRoutesStatus>,
        previews: &Table<Ref, Arc<Preview>>,
    ) {
        let mut before = self.heard.remove(node).unwrap_or_default();
        let Some(status) = status else { return };
        if before.instance != status.instance {
            before.words.clear();
        }
        let mut words = HashMap::with_capacity(status.requests.len());
        for said in &status.requests {
            let name = said.preview.split_once('/').map(|(at, name)| Ref::new(at, name));
            let Some(preview) = name.and_then(|it| previews.get(&it)) else { continue };
            let uid = uid_of(preview);
            let (word, last) = (Traffic::of(said), before.words.get(&uid));
            if let Some(sum) = self.sums.get_mut(&uid).filter(|_| last != Some(&word)) {
                sum.add(&word.since(last), word.last);
            }
            words.insert(uid, word);
        }
        if status.more_requests {
            // What does not fit into this word stands as it was said before.
            let mut all = before.words;
            all.retain(|uid, _| self.sums.contains_key(uid));
            all.extend(words);
            words = all;
        }
        self.heard.insert(node.clone(), Heard { instance: status.instance.clone(), words });
    }

    /// What came to a Preview. Numbers never fall.
    pub fn of(&self, preview: &Preview) -> Traffic {
        let mut traffic = self.sums.get(&uid_of(preview)).cloned().unwrap_or_default();
        if let Some(written) = &preview.status {
            traffic.counts = traffic.counts.each(&written.traffic, u64::max);
            traffic.last = traffic.last.max(written.last_request_time.as_ref().map(|time| time.0));
        }
        traffic
    }

    /// Forgets the Previews that are not `here`.
    pub fn retain(&mut self, here: impl Fn(&Name) -> bool) {
        self.sums.retain(|uid, _| here(uid));
    }
}

impl Traffic {
    fn of(said: &PreviewRequests) -> Self {
        Self { counts: said.counts.clone(), last: said.last_request_time }
    }

    fn add(&mut self, counts: &RequestCounts, last: Option<Timestamp>) {
        self.counts = self.counts.each(counts, u64::saturating_add);
        self.last = self.last.max(last);
    }

    /// What was counted since the word before. Where a number fell, the agent had forgotten the Preview and counts anew.
    fn since(&self, before: Option<&Self>) -> RequestCounts {
        let now = &self.counts;
        match before.map(|it| &it.counts) {
            Some(before) if now.each(before, u64::max) == *now => now.each(before, u64::saturating_sub),
            _ => now.clone(),
        }
    }
}
