//! The dynamic table (RFC 7541, 2.3.2) behind the static one, which can tell how it was before the block under way.

use std::{collections::VecDeque, sync::Arc};

use super::statics;

/// What an entry counts beside its bytes (RFC 7541, 4.1).
const OVERHEAD: usize = 32;
/// The size of a table that nobody has spoken of (RFC 9113, 6.5.2).
pub(crate) const USUAL: usize = 4096;

/// A field. Two tables may share it, and know it by that.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    bytes: Arc<[u8]>,
    name: usize,
}

impl Entry {
    pub(super) fn new(name: &[u8], value: &[u8]) -> Self {
        Self { bytes: [name, value].concat().into(), name: name.len() }
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.bytes[..self.name]
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.bytes[self.name..]
    }

    fn size(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }
}

/// What an index means.
pub(super) enum Place {
    Static(usize),
    Entry(Entry),
}

impl Place {
    pub(super) fn both(&self) -> (&[u8], &[u8]) {
        match self {
            Self::Static(index) => statics::entry(*index),
            Self::Entry(entry) => (entry.name(), entry.value()),
        }
    }
}

/// Sizes that were asked for, one after another: the smallest, and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) least: usize,
    pub(super) last: usize,
}

impl Sizes {
    pub(super) fn then(before: Option<Self>, size: usize) -> Self {
        Self { least: before.map_or(size, |it| it.least.min(size)), last: size }
    }
}

#[derive(Debug)]
pub(super) struct Table {
    /// The newest comes first.
    entries: VecDeque<Entry>,
    size: usize,
    most: usize,
    /// What the block under way has done.
    since: Since,
}

#[derive(Debug, Default)]
struct Since {
    most: usize,
    /// Entries that it has put in, and that are still here.
    inserted: usize,
    /// Those that were here before it, in order. Of its own none is kept: a short block may put in any number of long ones.
    evicted: Vec<Entry>,
    /// Of these, as of `Table::size`.
    evicted_size: usize,
    sizes: Option<Sizes>,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, most: USUAL, since: Since::default() }
    }
}

impl Table {
    /// What its entries take, and those that the last block has evicted.
    pub(super) const fn held(&self) -> usize {
        self.size + self.since.evicted_size
    }

    /// A block begins.
    pub(super) fn begin(&mut self) {
        self.since.most = self.most;
        self.since.inserted = 0;
        self.since.evicted.clear();
        self.since.evicted_size = 0;
        self.since.sizes = None;
    }

    /// As it was before the block under way.
    pub(super) fn before(&self) -> Self {
        let old = self.entries.iter().skip(self.since.inserted);
        let entries: VecDeque<Entry> = old.chain(self.since.evicted.iter().rev()).cloned().collect();
        let size = entries.iter().map(Entry::size).sum();
        Self { entries, size, most: self.since.most, since: Since::default() }
    }

    /// The sizes that the block under way has asked for.
    pub(super) fn sizes(&self) -> Option<Sizes> {
        self.since.sizes
    }

    pub(super) fn resize(&mut self, most: usize) {
        self.since.sizes = Some(Sizes::then(self.since.sizes, most));
        self.most = most;
        self.evict(most);
    }

    /// An entry that does not fit empties the table (RFC 7541, 4.4).
    pub(super) fn insert(&mut self, entry: Entry) {
        let size = entry.size();
        self.evict(self.most.saturating_sub(size));
        if size <= self.most {
            self.size += size;
            self.since.inserted += 1;
            self.entries.push_front(entry);
        }
    }

    fn evict(&mut self, most: usize) {
        while self.size > most
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size();
            if self.entries.len() < self.since.inserted {
                self.since.inserted -= 1;
            } else {
                self.since.evicted_size += entry.size();
                self.since.evicted.push(entry);
            }
        }
    }

    /// What an index means: indices of the static table come first (RFC 7541, 2.3.3).
    pub(super) fn place(&self, index: usize) -> Option<Place> {
        match index {
            0 => None,
            1..=statics::LEN => Some(Place::Static(index)),
            _ => self.entries.get(index - statics::LEN - 1).cloned().map(Place::Entry),
        }
    }

    /// The index of an entry, if it is here.
    pub(super) fn index(&self, entry: &Entry) -> Option<usize> {
        self.entries.iter().position(|it| it.is(entry)).map(|at| at + statics::LEN + 1)
    }
}
