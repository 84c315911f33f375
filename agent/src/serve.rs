//! The serving process: follows the routes until it is told to stop, and says what is live.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::Result;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use byway_api::{Failure, NodeRoutesStatus};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    admin::{self, Health},
    args::ServeArgs,
    control::{Control, bounded},
    source::{BadDocument, Change, Document, Source},
    steering::{self, Steering},
    sys::trim_memory,
};

/// How often the agent looks for pods that went and previews that ended.
const TICK: Duration = Duration::from_millis(100);
/// Signals so close to each other are one.
const SAME_SIGNAL: Duration = Duration::from_secs(1);
/// Ticks between looks at traffic that cannot be matched.
const OBSERVE: u32 = 5;
/// Ticks between looks at the other agents of this node.
const LOOK_ROUND: u32 = 20;
/// Ticks between countings of the listeners anew.
const TIDY: u32 = 600;
/// Before it is tried again to steer.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(800))
    .with_max_delay(Duration::from_secs(30))
    .with_jitter()
    .without_max_times();

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// When the kernel refuses what the agent needs, or the routes cannot be read at the start. With the API as the
/// source the agent stays, to say so where the controller looks.
pub fn serve(args: &ServeArgs) -> Result<()> {
    let node = args.node()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let mut signals = Signals::new()?;
        let source = Source::open(args, &node).await?;
        let health = Arc::new(Health::new(source.metrics()));
        admin::start(args.admin, &health)?;
        let mut routes = Routes { waiting: source.remembered(), source, health };
        let Some(mut steering) = start(args, &node, &mut routes, &mut signals).await? else { return Ok(()) };
        follow(&mut steering, &mut routes, &mut signals).await?;
        drain(args, steering, &mut routes, &mut signals).await;
        Ok(())
    })
}

/// The way of the routes to this agent, and of its word back.
struct Routes {
    source: Source,
    /// A document that is not in force yet.
    waiting: Option<Document>,
    health: Arc<Health>,
}

impl Routes {
    /// Has everybody know what is live.
    fn say(&self, status: NodeRoutesStatus, targets: usize) {
        self.health.publish(self.source.say(bounded(status)), targets);
    }

    fn say_failure(&self, failure: &Failure) {
        self.say(NodeRoutesStatus { failure: Some(failure.clone()), ..NodeRoutesStatus::default() }, 0);
    }
}

/// Starts to steer; nothing if told to stop before that. With the API as the source a failure is said there, and
/// tried again.
async fn start(
    args: &ServeArgs,
    node: &str,
    routes: &mut Routes,
    signals: &mut Signals,
) -> Result<Option<Steering>> {
    let mut pauses = PAUSES.build();
    loop {
        let error = match Steering::start(args, node) {
            Ok(steering) => {
                routes.health.admits(&steering.admission);
                return Ok(Some(steering));
            }
            Err(error) if routes.source.is_file() => return Err(error),
            Err(error) => error,
        };
        tracing::error!("nothing is steered on this node: {error:#}");
        let failure = Failure { reason: steering::code(&error).to_owned(), message: format!("{error:#}") };
        routes.health.set_not_ready(&failure.message);
        routes.say_failure(&failure);
        let mut again = pin!(sleep(pauses.next().unwrap_or_default()));
        loop {
            tokio::select! {
                () = &mut again => break,
                () = signals.stop() => return Ok(None),
                change = routes.source.changed() => {
                    match change {
                        Ok(Change::Document(document)) => routes.waiting = Some(document),
                        Ok(Change::Seen) => {}
                        Err(error) => tracing::error!("{error}"),
                    }
                    routes.say_failure(&failure);
                }
            }
        }
    }
}

/// Follows the routes and the node until the process is told to stop.
async fn follow(steering: &mut Steering, routes: &mut Routes, signals: &mut Signals) -> Result<()> {
    let Steering { control, admission, peers, log, .. } = steering;
    let (mut tick, mut ticks) = (interval(TICK), 0_u32);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if !routes.source.is_file() {
        routes.health.set_not_ready("the API server has not told the node's routes yet");
    }
    let mut has_begun = false;
    let mut change: Option<Result<Change, BadDocument>> =
        routes.waiting.take().map(|document| Ok(Change::Document(document)));
    loop {
        match change.take() {
            Some(Ok(Change::Document(mut document))) => {
                let raw = document.raw.take();
                control.apply(document);
                control.observe();
                routes.say(control.status(), control.attached());
                routes.source.remember(raw);
                if !std::mem::replace(&mut has_begun, true) {
                    routes.health.set_ready();
                    trim_memory();
                }
            }
            Some(Ok(Change::Seen)) => routes.say(control.status(), control.attached()),
            Some(Err(error)) if !has_begun && routes.source.is_file() => {
                return Err(error.into());
            }
            Some(Err(error)) => {
                routes.health.count_bad_document();
                tracing::error!("{error}; the last good routes stay in force");
                control.refuse(&error);
                routes.say(control.status(), control.attached());
            }
            None => {}
        }
        tokio::select! {
            next = routes.source.changed() => change = Some(next),
            () = admission.sleepers.called() => {
                if control.observe() {
                    routes.say(control.status(), control.attached());
                }
            }
            _ = tick.tick() => {
                admission.watch_memory();
                ticks = ticks.wrapping_add(1);
                if ticks % LOOK_ROUND == 0 {
                    peers.look_round();
                }
                if ticks % TIDY == 0 {
                    control.tidy();
                }
                let changed = control.tick();
                if (ticks % OBSERVE == 0 && control.observe()) || changed {
                    routes.say(control.status(), control.attached());
                }
                if let Some(log) = log {
                    log.flush();
                }
            }
            () = signals.stop() => return Ok(()),
        }
    }
}

/// Detaches, and serves what was accepted until it has ended or the deadline has come. Its requests are decided by the
/// newest routes; to acknowledge those is the successor's.
async fn drain(args: &ServeArgs, mut steering: Steering, routes: &mut Routes, signals: &mut Signals) {
    tracing::info!("stopping: new connections reach the app, those accepted are served on");
    let Steering { control, admission, .. } = &mut steering;
    admission.drain();
    routes.health.set_not_ready("stopping");
    control.detach_all();
    let begun = Instant::now();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut why = "the drain deadline has come";
    let goes_on = |control: &Control| admission.open() > 0 || control.has_clones();
    while !control.is_detached() || (goes_on(control) && begun.elapsed() < args.drain_deadline) {
        tokio::select! {
            () = signals.stop() => {}
            change = routes.source.changed() => {
                match change {
                    Ok(Change::Document(document)) => control.apply(document),
                    Ok(Change::Seen) => {}
                    Err(error) => tracing::error!("{error}; the last good routes stay in force"),
                }
                continue;
            }
            _ = tick.tick() => {
                control.tick();
                continue;
            }
        }
        // Who signals the whole group is heard twice: once here, once through the watchdog.
        if begun.elapsed() > SAME_SIGNAL {
            why = "told to stop a second time";
            break;
        }
    }
    if admission.open() > 0 {
        tracing::warn!(open = admission.open(), "{why}: closing what is open");
    }
}

/// The signals that tell to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
