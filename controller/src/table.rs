//! What a watch has seen, as small rows: the controller keeps no objects but Previews.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

use kube::runtime::watcher::Event;

/// Rows by key. It keeps what it has while a watch starts anew, so an outage of the API server removes nothing.
#[derive(Debug)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// Keys that the list under way has brought.
    listed: Option<HashSet<K>>,
    synced: bool,
}

/// A change of a row, or of the watch.
pub type Change<K, V> = Event<(K, Option<V>)>;

/// Which row a change is of.
pub fn key<K, V>(change: &Change<K, V>) -> Option<&K> {
    match change {
        Event::Apply((key, _)) | Event::InitApply((key, _)) | Event::Delete((key, _)) => Some(key),
        Event::Init | Event::InitDone => None,
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), listed: None, synced: false }
    }
}

impl<K: Ord + Hash + Clone, V: PartialEq> Table<K, V> {
    /// Takes a change in. Whether anything is different now: duplicate and stale events are not.
    pub fn apply(&mut self, change: Change<K, V>) -> bool {
        match change {
            Event::Init => {
                self.listed = Some(HashSet::new());
                false
            }
            Event::InitApply((key, row)) => {
                if let (Some(listed), true) = (&mut self.listed, row.is_some()) {
                    listed.insert(key.clone());
                }
                self.set(key, row)
            }
            Event::InitDone => {
                let before = self.rows.len();
                if let Some(listed) = self.listed.take() {
                    self.rows.retain(|key, _| listed.contains(key));
                }
                let first = !std::mem::replace(&mut self.synced, true);
                first || self.rows.len() != before
            }
            Event::Apply((key, row)) => self.set(key, row),
            Event::Delete((key, _)) => self.set(key, None),
        }
    }

    fn set(&mut self, key: K, row: Option<V>) -> bool {
        match row {
            Some(row) if self.rows.get(&key) == Some(&row) => false,
            Some(row) => {
                self.rows.insert(key, row);
                true
            }
            None => self.rows.remove(&key).is_some(),
        }
    }
}

impl<K: Ord, V> Table<K, V> {
    /// Whether the first list is complete.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// One row.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// All rows, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// The rows from `key` on.
    pub fn from(&self, key: K) -> impl Iterator<Item = (&K, &V)> {
        self.rows.range(key..)
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_list_replaces_what_is_gone_and_only_when_it_is_complete() {
        let mut table = Table::default();
        assert!(!table.apply(Event::Init));
        assert!(table.apply(Event::InitApply((1, Some('a')))));
        assert!(!table.is_synced());
        assert!(table.apply(Event::InitDone) && table.is_synced());
        assert!(!table.apply(Event::Apply((1, Some('a')))), "a duplicate changes nothing");
        assert!(table.apply(Event::Apply((2, Some('b')))));
        assert!(!table.apply(Event::Init) && table.len() == 2);
        assert!(!table.apply(Event::InitApply((2, Some('b')))));
        assert!(table.apply(Event::InitDone));
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&2, &'b')]);
        assert!(table.apply(Event::Apply((2, None))), "a row that is not wanted any more goes");
        assert!(!table.apply(Event::Delete((2, None))));
    }
}
