//! Shows requests to previews, on a thread of its own: some at a time for each preview, and none that would wait for long.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use byway_http::copies::Copied;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{http1, http2, pace::Pace};
use crate::{
    snapshot::{Copies, Leg, Preview},
    sys::give_way,
};

/// Most requests that are sent to one preview at a time, and that wait for that.
const AT_ONCE: usize = 16;
const MOST_WAITING: usize = 1024;
/// Most bytes of requests that wait, or are sent.
const MOST_BYTES: usize = 32 << 20;
/// A preview that answers later has not answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where requests are handed in.
pub(super) struct Shower {
    to: mpsc::UnboundedSender<Job>,
    bytes: Arc<AtomicUsize>,
    totals: Arc<Copies>,
}

/// A request that a preview is shown.
pub(super) struct Asked {
    /// The status of the preview's answer, and of the app's above it; 0: none yet.
    answered: AtomicU32,
    /// Of the preview, and of all.
    copies: [Arc<Copies>; 2],
}

struct Job {
    preview: Arc<Preview>,
    port: u16,
    pace: Arc<Pace>,
    copied: Arc<Copied>,
    asked: Arc<Asked>,
    /// Of `copied`, given back when it is done.
    _bytes: Bytes,
}

struct Bytes(Arc<AtomicUsize>, usize);

impl Drop for Bytes {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Relaxed);
    }
}

impl Asked {
    pub(super) const fn new(copies: [Arc<Copies>; 2]) -> Self {
        Self { answered: AtomicU32::new(0), copies }
    }

    pub(super) fn by_app(&self, status: u16) {
        let before = self.answered.fetch_or(u32::from(status) << 16, Relaxed);
        self.compare(before & 0xffff, status);
    }

    pub(super) fn by_preview(&self, status: u16) {
        self.count(|copies| &copies.sent);
        let before = self.answered.fetch_or(status.into(), Relaxed);
        self.compare(before >> 16, status);
    }

    /// Whoever comes second sees the other one.
    fn compare(&self, other: u32, own: u16) {
        if other != 0 && other != u32::from(own) {
            self.count(|copies| &copies.status_differs);
        }
    }

    fn is_dropped(&self) {
        self.count(|copies| &copies.dropped);
    }

    fn count(&self, what: impl Fn(&Copies) -> &AtomicU64) {
        for copies in &self.copies {
            what(copies).fetch_add(1, Relaxed);
        }
    }
}

impl Shower {
    pub(super) fn start(totals: Arc<Copies>) -> io::Result<Self> {
        let (to, from) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("shower".to_owned()).spawn(move || {
            give_way();
            runtime.block_on(serve(from));
        })?;
        Ok(Self { to, bytes: Arc::default(), totals })
    }

    /// Hands a request in, if there is room for it.
    pub(super) fn show(
        &self,
        leg: &Arc<Leg>,
        port: u16,
        pace: &Arc<Pace>,
        copied: &Arc<Copied>,
    ) -> Option<Arc<Asked>> {
        let size = copied.held() + 512;
        let bytes = Bytes(self.bytes.clone(), size);
        if self.bytes.fetch_add(size, Relaxed) + size > MOST_BYTES {
            pace.refuse();
            self.lost(leg, 1);
            return None;
        }
        let copies = [leg.copies.clone(), self.totals.clone()];
        let asked = Arc::new(Asked::new(copies));
        let job = Job {
            preview: leg.preview.clone(),
            port,
            pace: pace.clone(),
            copied: copied.clone(),
            asked: asked.clone(),
            _bytes: bytes,
        };
        self.to.send(job).ok()?;
        Some(asked)
    }

    /// Some were not shown.
    pub(super) fn lost(&self, leg: &Leg, count: u64) {
        for copies in [&leg.copies, &self.totals] {
            copies.dropped.fetch_add(count, Relaxed);
        }
    }
}

/// What is shared by those who ask one preview at one port.
struct Lane {
    turns: Semaphore,
    waiting: AtomicUsize,
    http1: http1::Pool,
    http2: http2::Pool,
}

async fn serve(mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut lanes: HashMap<(String, u16), Arc<Lane>> = HashMap::new();
    while let Some(job) = jobs.recv().await {
        let to = (job.preview.route.name.clone(), job.port);
        if !lanes.contains_key(&to) {
            lanes.retain(|_, lane| lane.waiting.load(Relaxed) > 0);
            let lane = Lane {
                turns: Semaphore::new(AT_ONCE),
                waiting: AtomicUsize::new(0),
                http1: http1::Pool::default(),
                http2: http2::Pool::default(),
            };
            lanes.insert(to.clone(), Arc::new(lane));
        }
        let Some(lane) = lanes.get(&to).cloned() else { continue };
        if lane.waiting.load(Relaxed) >= MOST_WAITING {
            job.pace.refuse();
            job.asked.is_dropped();
            continue;
        }
        lane.waiting.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            // Nobody closes it.
            if let Ok(_turn) = lane.turns.acquire().await {
                ask(&lane, &job).await;
            }
            lane.waiting.fetch_sub(1, Relaxed);
        });
    }
}

async fn ask(lane: &Lane, job: &Job) {
    let asking = async {
        match &*job.copied {
            Copied::Http1 { bytes, head } => lane.http1.ask(&job.preview, job.port, bytes, *head).await,
            Copied::Http2 { fields, body, trailers, .. } => {
                lane.http2.ask(&job.preview, job.port, fields, body, trailers.as_ref()).await
            }
        }
    };
    let error = match timeout(PATIENCE, asking).await {
        Ok(Ok(status)) => return job.asked.by_preview(status),
        Ok(Err(error)) => error,
        Err(_) => io::ErrorKind::TimedOut.into(),
    };
    tracing::debug!(preview = job.preview.route.name, %error, "a copy was not taken");
    job.asked.is_dropped();
}
