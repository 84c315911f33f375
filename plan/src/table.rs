//! What a watch has seen, as small rows: the controller keeps no objects but Previews.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

/// Rows by key. It keeps what it has while a watch starts anew, so an outage of the API server removes nothing.
#[derive(Debug)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// Keys that the list under way has brought.
    listed: Option<HashSet<K>>,
    synced: bool,
}

/// What a watch has to say of a table.
#[derive(Clone, Debug)]
pub enum Change<K, V> {
    /// It begins anew with a list of all that there is.
    ListBegins,
    /// The list has this. Without a row, the object is none that is kept.
    Listed(K, Option<V>),
    /// The list is complete: what was not in it has gone.
    ListEnds,
    /// An object is another by now, or has gone.
    Now(K, Option<V>),
}

impl<K, V> Change<K, V> {
    /// Which row it is of.
    pub const fn key(&self) -> Option<&K> {
        match self {
            Self::Listed(key, _) | Self::Now(key, _) => Some(key),
            Self::ListBegins | Self::ListEnds => None,
        }
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
            Change::ListBegins => {
                self.listed = Some(HashSet::new());
                false
            }
            Change::Listed(key, row) => {
                if let (Some(listed), true) = (&mut self.listed, row.is_some()) {
                    listed.insert(key.clone());
                }
                self.set(key, row)
            }
            Change::ListEnds => {
                let before = self.rows.len();
                if let Some(listed) = self.listed.take() {
                    self.rows.retain(|key, _| listed.contains(key));
                }
                let first = !std::mem::replace(&mut self.synced, true);
                first || self.rows.len() != before
            }
            Change::Now(key, row) => self.set(key, row),
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
        assert!(!table.apply(Change::ListBegins));
        assert!(table.apply(Change::Listed(1, Some('a'))));
        assert!(!table.is_synced());
        assert!(table.apply(Change::ListEnds) && table.is_synced());
        assert!(!table.apply(Change::Now(1, Some('a'))), "a duplicate changes nothing");
        assert!(table.apply(Change::Now(2, Some('b'))));
        assert!(!table.apply(Change::ListBegins) && table.len() == 2);
        assert!(!table.apply(Change::Listed(2, Some('b'))));
        assert!(table.apply(Change::ListEnds));
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&2, &'b')]);
        assert!(table.apply(Change::Now(2, None)), "a row that is not wanted any more goes");
        assert!(!table.apply(Change::Now(2, None)));
    }
}
