//! What the task of a client's connection hears from the others: how home stands, and whom it has left.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Context,
};

use futures::task::AtomicWaker;
use h2::Reason;

/// How the connection to home stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Open,
    /// It takes no more streams.
    GoingAway,
    /// It has ended, with the code of home's GOAWAY if there was one.
    Ended(Option<Reason>),
}

#[derive(Default)]
pub(super) struct News {
    state: Mutex<State>,
    /// Streams that home has left without an answer.
    orphans: AtomicUsize,
    reader: AtomicWaker,
}

impl News {
    /// How home stands, and a call when anything changes.
    pub(super) fn poll_state(&self, cx: &mut Context<'_>) -> State {
        self.reader.register(cx.waker());
        self.state()
    }

    pub(super) fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.reader.wake();
    }

    pub(super) fn orphans(&self) -> usize {
        self.orphans.load(Relaxed)
    }

    pub(super) fn add_orphan(&self) {
        self.orphans.fetch_add(1, Relaxed);
        self.reader.wake();
    }

    pub(super) fn remove_orphan(&self) {
        self.orphans.fetch_sub(1, Relaxed);
    }
}
