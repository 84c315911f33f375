//! The one runtime of all that is made up, and the thread that starts processes.

use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let built = Builder::new_multi_thread().worker_threads(2).thread_name("sim").enable_all().build();
    built.expect("a process may start threads")
});

/// Waits for `future`. Panics when called from asynchronous code.
pub(crate) fn block<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// Runs `future` until the process ends, or its handle is aborted.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    RUNTIME.spawn(future)
}

/// Starts a process that outlives the test that starts it: it would be killed with the thread that spawned it, so one that
/// never ends spawns them all.
pub(crate) fn on_lasting_thread<T: Send + 'static>(
    job: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    type Job = Box<dyn FnOnce() + Send>;
    static JOBS: LazyLock<Sender<Job>> = LazyLock::new(|| {
        let (sender, jobs) = channel::<Job>();
        thread::spawn(move || jobs.iter().for_each(|job| job()));
        sender
    });
    let (done, result) = channel();
    let job = move || drop(done.send(job()));
    JOBS.send(Box::new(job)).ok().context("the thread that starts processes has ended")?;
    result.recv().context("the thread that starts processes has ended")?
}
