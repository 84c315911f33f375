//! The threads that accept and forward. Each has a runtime of its own and shares nothing on the request path but the
//! routes: a connection stays on the worker whose listener accepted it.

use std::{
    io,
    net::TcpListener,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{MissedTickBehavior, interval},
};

use crate::{accept, admission::Admission, direct::Taken, tables::Tables, target::Target};

/// A heartbeat older than 250 ms passes connections on: five beats may be late before that.
const BEAT: Duration = Duration::from_millis(50);

/// So long the process waits for workers that end.
const ENDING: Duration = Duration::from_secs(1);

/// All workers.
pub(crate) struct Workers {
    senders: Vec<UnboundedSender<Order>>,
    threads: Vec<JoinHandle<()>>,
}

/// A target to serve.
struct Order {
    target: Arc<Target>,
    listener: TcpListener,
    taken: UnboundedReceiver<Taken>,
}

impl Workers {
    /// Starts `count` threads.
    pub(crate) fn start(count: u32, tables: &Arc<Tables>, admission: &Arc<Admission>) -> io::Result<Self> {
        let started = (0..count).map(|id| {
            let (sender, mut orders) = unbounded_channel::<Order>();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (tables, admission) = (tables.clone(), admission.clone());
            let work = async move {
                let mut beat = interval(BEAT);
                beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        order = orders.recv() => match order {
                            Some(Order { target, listener, taken }) => {
                                tokio::spawn(accept::serve(id, target, listener, taken, admission.clone()));
                            }
                            None => return,
                        },
                        // By the loop that accepts, not by a thread beside it: only so does it prove anything.
                        _ = beat.tick() => tables.beat(id, admission.has_room()),
                    }
                }
            };
            let thread = thread::Builder::new().name(format!("worker-{id}"));
            Ok((sender, thread.spawn(move || runtime.block_on(work))?))
        });
        let (senders, threads) = started.collect::<io::Result<_>>()?;
        Ok(Self { senders, threads })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.senders.len() as u32
    }

    /// Hands each worker its listener of a target. What comes back takes connections that were taken over.
    pub(crate) fn serve(
        &self,
        target: &Arc<Target>,
        listeners: Vec<TcpListener>,
    ) -> Vec<UnboundedSender<Taken>> {
        let orders = self.senders.iter().zip(listeners).map(|(worker, listener)| {
            let (sender, taken) = unbounded_channel();
            // A worker ends only with the process.
            let _ = worker.send(Order { target: target.clone(), listener, taken });
            sender
        });
        orders.collect()
    }
}

/// What is open still is closed, with a FIN. The process must not end before that: the kernel would reset it.
impl Drop for Workers {
    fn drop(&mut self) {
        self.senders.clear();
        let until = Instant::now() + ENDING;
        while self.threads.iter().any(|it| !it.is_finished()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
