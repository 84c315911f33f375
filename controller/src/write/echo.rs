//! What was written and has not come back through a watch yet: without it, it would be written twice.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// After this the watch is believed again, whatever it says.
const LONGEST: Duration = Duration::from_secs(10);

/// Writes on their way back.
#[derive(Debug)]
pub struct Echo<K, V> {
    sent: HashMap<K, Sent<V>>,
}

#[derive(Debug)]
struct Sent<V> {
    value: V,
    seen: Option<V>,
    at: Instant,
}

impl<K, V> Default for Echo<K, V> {
    fn default() -> Self {
        Self { sent: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: PartialEq> Echo<K, V> {
    /// Whether `wanted` has to be written, where the watch has `seen` something else or nothing.
    pub fn must_write(&mut self, key: &K, wanted: &V, seen: Option<&V>) -> bool {
        if seen == Some(wanted) {
            self.sent.remove(key);
            return false;
        }
        let on_its_way = |sent: &Sent<V>| {
            sent.value == *wanted && sent.seen.as_ref() == seen && sent.at.elapsed() < LONGEST
        };
        !self.sent.get(key).is_some_and(on_its_way)
    }

    /// `value` is being written, while the watch has `seen` this.
    pub fn sent(&mut self, key: K, value: V, seen: Option<V>) {
        self.sent.insert(key, Sent { value, seen, at: Instant::now() });
    }

    /// A write failed.
    pub fn forget(&mut self, key: &K) {
        self.sent.remove(key);
    }

    /// Nothing comes back of what is not `here` any more.
    pub fn retain(&mut self, here: impl Fn(&K) -> bool) {
        self.sent.retain(|key, _| here(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_not_written_again_unless_somebody_changes_it() {
        let mut echo = Echo::default();
        assert!(echo.must_write(&"node", &2, Some(&1)));
        echo.sent("node", 2, Some(1));
        assert!(!echo.must_write(&"node", &2, Some(&1)), "on its way");
        assert!(echo.must_write(&"node", &3, Some(&1)), "something else is wanted by now");
        assert!(!echo.must_write(&"node", &2, Some(&2)), "it is there");
        assert!(echo.must_write(&"node", &2, Some(&1)), "somebody changed it back");
        echo.sent("node", 2, None);
        echo.forget(&"node");
        assert!(echo.must_write(&"node", &2, None));
        echo.sent("node", 2, None);
        echo.retain(|key| *key != "node");
        assert!(echo.sent.is_empty());
    }
}
