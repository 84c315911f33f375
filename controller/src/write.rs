//! Brings objects to what is wanted: one write at a time for each object, always of the newest wish, and again with a
//! back-off when it fails. All that the controller writes goes through [`Desired`].

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::task::{Id, JoinSet};

use crate::metrics::Metrics;

pub mod clone;
mod echo;
mod error;
pub mod events;
pub mod gate;
pub mod labels;
pub mod preview;
#[cfg(test)]
mod tests;

pub use echo::Echo;
pub use error::{WriteError, is_gone};

use error::TIMEOUT;

/// What objects of one kind should be, and the writes under way.
pub struct Desired<K, V, T> {
    what: &'static str,
    wanted: HashMap<K, V>,
    /// Keys of what is wanted, those that have waited longest first.
    turns: VecDeque<K>,
    writing: HashMap<K, V>,
    failed: HashMap<K, Failed>,
    tasks: JoinSet<(Duration, Result<T, WriteError>)>,
    keys: HashMap<Id, K>,
    most: usize,
    metrics: Arc<Metrics>,
}

struct Failed {
    pauses: ExponentialBackoff,
    until: Instant,
}

impl<K, V, T> Desired<K, V, T>
where
    K: Clone + Eq + Hash + Send + std::fmt::Display + 'static,
    V: Clone + Send + 'static,
    T: Send + 'static,
{
    /// At most `most` writes at a time.
    pub fn new(what: &'static str, most: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            what,
            wanted: HashMap::new(),
            turns: VecDeque::new(),
            writing: HashMap::new(),
            failed: HashMap::new(),
            tasks: JoinSet::new(),
            keys: HashMap::new(),
            most,
            metrics,
        }
    }

    /// Wants `key` to be `value`, and no longer what was wanted before. Written by the next [`write`](Self::write) that may.
    pub fn want(&mut self, key: K, value: V) {
        if self.wanted.insert(key.clone(), value).is_none() {
            self.turns.push_back(key);
        }
    }

    /// Nothing is wanted of what is not `here` any more.
    pub fn retain(&mut self, here: impl Fn(&K) -> bool) {
        self.wanted.retain(|key, _| here(key));
        self.turns.retain(|key| here(key));
        self.failed.retain(|key, _| here(key));
    }

    /// Whether `key` is being written.
    pub fn is_writing(&self, key: &K) -> bool {
        self.writing.contains_key(key)
    }

    /// Starts the writes that may start now. What waits for its turn is a wish and no more: there may be thousands.
    pub fn write<F>(&mut self, write: impl Fn(K, V) -> F)
    where
        F: Future<Output = Result<T, WriteError>> + Send + 'static,
    {
        let now = Instant::now();
        for _ in 0..self.turns.len() {
            if self.tasks.len() >= self.most {
                break;
            }
            let Some(key) = self.turns.pop_front() else { break };
            if self.is_writing(&key) || self.failed.get(&key).is_some_and(|failed| failed.until > now) {
                self.turns.push_back(key);
                continue;
            }
            let Some(value) = self.wanted.remove(&key) else { continue };
            self.writing.insert(key.clone(), value.clone());
            let task = write(key.clone(), value);
            let task = self.tasks.spawn(async move {
                let begun = Instant::now();
                let done = tokio::time::timeout(TIMEOUT, task).await.unwrap_or(Err(WriteError::Timeout));
                (begun.elapsed(), done)
            });
            self.keys.insert(task.id(), key);
        }
    }

    /// The next write that has ended. Never, while there is none under way.
    pub async fn ended(&mut self) -> (K, Result<T, WriteError>) {
        loop {
            let (id, (took, done)) = match self.tasks.join_next_with_id().await {
                Some(Ok(ended)) => ended,
                Some(Err(error)) => (error.id(), (Duration::ZERO, Err(error.into()))),
                None => std::future::pending().await,
            };
            let Some(key) = self.keys.remove(&id) else { continue };
            let value = self.writing.remove(&key);
            self.metrics.wrote(self.what, took, done.as_ref().err().map(WriteError::code));
            match &done {
                Ok(_) => drop(self.failed.remove(&key)),
                Err(error) => {
                    self.pause(&key, error);
                    if let Some(value) = value.filter(|_| !self.wanted.contains_key(&key)) {
                        self.want(key.clone(), value);
                    }
                }
            }
            return (key, done);
        }
    }

    fn pause(&mut self, key: &K, error: &WriteError) {
        let failed = self.failed.entry(key.clone()).or_insert_with(|| Failed {
            pauses: ExponentialBuilder::new()
                .with_min_delay(Duration::from_millis(100))
                .with_max_delay(Duration::from_secs(30))
                .with_jitter()
                .without_max_times()
                .build(),
            until: Instant::now(),
        });
        let pause = failed.pauses.next().unwrap_or(Duration::from_secs(30));
        failed.until = Instant::now() + pause;
        tracing::warn!(%key, what = self.what, %error, pause_ms = pause.as_millis(), "cannot write; trying again");
    }

    /// When the next write that failed is tried again.
    pub fn next_try(&self) -> Option<Instant> {
        let waiting = self.failed.iter().filter(|(key, _)| self.wanted.contains_key(*key));
        waiting.map(|(_, failed)| failed.until).min()
    }
}
