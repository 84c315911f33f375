//! The serving process: loads the programs, starts the threads, and follows the routes until it is told to stop.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use byway_abi::maps;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    admin::{self, Health},
    admission::Admission,
    args::ServeArgs,
    control::Control,
    inspect,
    kernel::{Node, Template},
    source::file::FileSource,
    sys::trim_memory,
    tables::Tables,
    target::Attacher,
    worker::Workers,
};

/// Heartbeats older than this pass connections on.
const MAX_AGE: Duration = Duration::from_millis(250);
/// How often the agent looks for pods that went and previews that ended.
const TICK: Duration = Duration::from_millis(100);
/// Signals so close to each other are one.
const SAME_SIGNAL: Duration = Duration::from_secs(1);
/// Ticks between looks at the other agents of this node.
const LOOK_ROUND: u32 = 20;
/// Ticks between countings of the listeners anew.
const TIDY: u32 = 600;
/// Descriptors that are not connections: programs, listeners, files.
const OTHER_FILES: u64 = 2048;
/// Each has a dial. The map of dials is shared with a predecessor or successor.
const MOST_CONNECTIONS: usize = byway_abi::MAX_DIALS as usize / 2;
/// Client, app, preview, and room for what is being closed.
const FILES_PER_CONNECTION: u64 = 4;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// When the kernel refuses what the agent needs, or the routes cannot be read at the start.
pub fn serve(args: &ServeArgs) -> Result<()> {
    let Some(routes) = &args.routes else {
        bail!("where do the routes come from? give --routes FILE");
    };
    let node = args.node()?;
    let files = raise_files()?;
    let workers = match args.workers {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(4) as u32),
        n => n,
    };
    let limit = match args.max_connections {
        0 => ((files - (files / 2).min(OTHER_FILES)) / FILES_PER_CONNECTION).max(1) as usize,
        n => n,
    }
    .min(MOST_CONNECTIONS);

    let predecessors = inspect::agents_of(&node)?;
    let mut node_programs = Node::load(predecessors.iter().find_map(inspect::Agent::dials))?;
    let shared = node_programs.maps()?;
    let tables = Arc::new(Tables::open(&shared)?);
    let living: Vec<u64> = predecessors.iter().map(inspect::Agent::instance).collect();
    tables.sweep_dials(&living)?;
    let template = Template::new(shared, &node_programs.offsets)?;
    let memory = if args.max_memory == 0 { memory_limit() } else { args.max_memory << 20 };
    let admission = Arc::new(Admission::new(tables.clone(), workers, limit, memory, files)?);
    let health = Arc::new(Health::new(admission.clone()));
    admin::start(args.admin, &health)?;
    let workers_started = Workers::start(workers, &tables, &admission)?;
    tables.announce(&node, workers, MAX_AGE.as_millis() as u32)?;
    // Two that start at the same time do not see each other: without a common map of dials they would steer each
    // other's dials for ever.
    let stranger = |a: &inspect::Agent| a.map_id(maps::DIALS) != tables.id(maps::DIALS);
    if let Some(other) = inspect::agents_of(&node)?.iter().find(|a| stranger(a)) {
        bail!("agent {} of this node started at the same time: start again", other.pid());
    }
    let peer_tables = tables.clone();
    let attacher = Attacher {
        tables,
        template,
        workers: workers_started,
        max_age: MAX_AGE,
        max_backlog: args.max_backlog,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let log = aya_log::EbpfLogger::init(node_programs.ebpf_mut())
            .map_err(|error| tracing::warn!(%error, "the programs in the kernel cannot log"))
            .ok();
        let mut control = Control::new(attacher);
        let mut peers = Peers { node, tables: peer_tables, seen: living };
        let mut source = FileSource::new(routes);
        follow(&mut control, &mut source, &mut peers, log, &health).await?;
        tracing::info!("stopping: new connections reach the app, those accepted are served on");
        admission.drain();
        health.set_ready(false);
        control.detach_all();
        let begun = Instant::now();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut why = "the drain deadline has come";
        while !control.is_detached() || (admission.open() > 0 && begun.elapsed() < args.drain_deadline) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = sleep(TICK) => continue,
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
        drop(node_programs);
        Ok(())
    })
}

/// Other agents of this node: a predecessor, a successor.
struct Peers {
    node: String,
    tables: Arc<Tables>,
    /// Their instances.
    seen: Vec<u64>,
}

impl Peers {
    /// Removes the dials of those that have gone. One that was killed could not do so itself.
    fn look_round(&mut self) {
        let Ok(agents) = inspect::agents_of(&self.node) else { return };
        let living: Vec<u64> = agents.iter().map(inspect::Agent::instance).collect();
        if self.seen.iter().any(|peer| !living.contains(peer))
            && let Err(error) = self.tables.sweep_dials(&living)
        {
            tracing::warn!(%error, "cannot remove the dials of an agent that has gone");
        }
        self.seen = living;
    }
}

type Log = aya_log::EbpfLogger<&'static dyn log::Log>;

/// Follows the routes and the node until the process is told to stop.
async fn follow(
    control: &mut Control,
    source: &mut FileSource,
    peers: &mut Peers,
    mut log: Option<Log>,
    health: &Health,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (mut tick, mut ticks) = (interval(TICK), 0_u32);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    control.apply(source.changed().await?);
    health.publish(control);
    health.set_ready(true);
    trim_memory();
    loop {
        tokio::select! {
            document = source.changed() => match document {
                Ok(spec) => {
                    control.apply(spec);
                    health.publish(control);
                }
                Err(error) => {
                    health.count_bad_document();
                    tracing::error!("{error}; the last good routes stay in force");
                }
            },
            _ = tick.tick() => {
                health.watch_memory();
                ticks = ticks.wrapping_add(1);
                if ticks % LOOK_ROUND == 0 {
                    peers.look_round();
                }
                if ticks % TIDY == 0 {
                    control.tidy();
                }
                if control.tick() {
                    health.publish(control);
                }
                if let Some(log) = &mut log {
                    log.flush();
                }
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

/// Raises the limit of open files to the most that is allowed, and says what that is.
fn raise_files() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of open files")?;
    Ok(hard)
}

/// 80 % of the memory limit of the agent's cgroup, v2 or v1; without one there is none.
fn memory_limit() -> u64 {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = files.iter().find_map(|f| std::fs::read_to_string(f).ok()?.trim().parse::<u64>().ok());
    limit.map_or(u64::MAX, |bytes| bytes / 5 * 4)
}
