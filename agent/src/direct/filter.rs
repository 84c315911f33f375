//! What heads of direct connections are scanned for: the keys of each target, and the headers that may hold one.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
};

use byway_abi::direct::{Filter, bloom_bit, hash, look, name_hash};
use byway_api::Key;

use crate::{snapshot::Routes, tables::Tables};

/// Of all targets, by the cookies of their namespaces.
#[derive(Default)]
pub(super) struct Filters {
    targets: HashMap<u64, Sought>,
    /// What is in the map of keys.
    written: HashSet<u64>,
}

/// What one target's routes look for.
#[derive(Default, PartialEq, Eq)]
struct Sought {
    keys: BTreeSet<Box<[u8]>>,
    headers: BTreeSet<Box<[u8]>>,
    any_header: bool,
}

impl Filters {
    pub(super) fn set(&mut self, ns: u64, routes: &Routes, tables: &Tables) -> io::Result<()> {
        let table = &routes.table;
        let sought = Sought {
            keys: table.keys().map(Into::into).collect(),
            headers: table.key_headers().map(Into::into).collect(),
            any_header: table.looks_at_any_header(),
        };
        if self.targets.get(&ns) == Some(&sought) {
            return Ok(());
        }
        self.targets.insert(ns, sought);
        self.write(tables)
    }

    pub(super) fn remove(&mut self, ns: u64, tables: &Tables) -> io::Result<()> {
        match self.targets.remove(&ns) {
            Some(_) => self.write(tables),
            None => Ok(()),
        }
    }

    /// New keys before the filter that lets them through, old ones behind it.
    fn write(&mut self, tables: &Tables) -> io::Result<()> {
        let mut wanted = HashSet::new();
        for (ns, sought) in &self.targets {
            wanted.extend(sought.keys.iter().map(|key| hash(key, *ns)));
        }
        wanted.difference(&self.written).try_for_each(|key| tables.add_key(*key))?;
        tables.set_filter(&filter(self.targets.values(), &wanted));
        self.written.difference(&wanted).try_for_each(|key| tables.remove_key(*key))?;
        self.written = wanted;
        Ok(())
    }
}

fn filter<'a>(targets: impl Iterator<Item = &'a Sought>, hashes: &HashSet<u64>) -> Filter {
    let mut filter = Filter { lengths: 0, all: 0, names: [0; 256], token: [0; 256], bloom: [0; 8192] };
    for byte in 0..=u8::MAX {
        filter.token[usize::from(byte)] = Key::is_char(byte).into();
    }
    let mut names = |name: &[u8], what: u8| match name {
        // What stands behind a shorter name is a value.
        [a, b, c, rest @ ..] => {
            let four = u32::from_le_bytes([*a, *b, *c, *rest.first().unwrap_or(&b':')]);
            filter.names[name_hash(four) as usize] |= what;
        }
        _ => filter.all |= u64::from(what),
    };
    for framing in ["content-length", "transfer-encoding", "upgrade"] {
        names(framing.as_bytes(), look::FRAMING);
    }
    names(byway_http::carriers::HEADER.as_bytes(), look::KEYS);
    for carrier in ["baggage", "cookie"] {
        names(carrier.as_bytes(), look::MEMBERS);
    }
    let mut any_header = false;
    for sought in targets {
        sought.headers.iter().for_each(|name| names(name, look::KEYS));
        sought.keys.iter().for_each(|key| filter.lengths |= 1 << (key.len() & 63));
        any_header |= sought.any_header;
    }
    if any_header {
        filter.all |= u64::from(look::KEYS);
    }
    for hash in hashes {
        let bit = bloom_bit(*hash);
        filter.bloom[(bit >> 3) as usize] |= 1 << (bit & 7);
    }
    filter
}
