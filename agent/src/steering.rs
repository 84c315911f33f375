//! All that steers on this node: the programs in the kernel, the threads that serve, and what controls them.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use byway_abi::maps;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::time::Duration;

use crate::{
    admission::{Admission, Memory},
    args::ServeArgs,
    attach::Attacher,
    control::Control,
    direct::{
        self, Direct,
        mode::{Wanted, Why},
    },
    inspect,
    kernel::{Node, NodeError, Template},
    mirror::Mirror,
    observer::Observer,
    tables::Tables,
    worker::Workers,
};

/// So many looks round, of two seconds, may what the kernel sends for an agent that has ended take: a FIN is sent again for
/// a minute or two (`tcp_orphan_retries`).
const RESTS: u32 = 60;
/// Heartbeats older than this pass connections on.
const MAX_AGE: Duration = Duration::from_millis(250);
/// Descriptors that are not connections: programs, listeners, files.
const OTHER_FILES: u64 = 2048;
/// Each has a dial. The map of dials is shared with a predecessor or successor.
const MOST_CONNECTIONS: usize = byway_abi::MAX_DIALS as usize / 2;
/// Client, app, preview, and room for what is being closed.
const FILES_PER_CONNECTION: u64 = 4;

/// Dropping it detaches everything.
pub(crate) struct Steering {
    pub(crate) control: Control,
    pub(crate) admission: Arc<Admission>,
    pub(crate) peers: Peers,
    pub(crate) log: Option<Log>,
    _programs: Node,
}

pub(crate) type Log = aya_log::EbpfLogger<&'static dyn log::Log>;

impl Steering {
    /// Loads the programs and starts the workers. Nothing is steered yet.
    ///
    /// # Errors
    ///
    /// When the kernel refuses what the agent needs; [`code`] names it.
    pub(crate) fn start(args: &ServeArgs, node: &str) -> Result<Self> {
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

        // Whoever may not look at BPF maps may not load programs either.
        let look = |e: anyhow::Error| NodeError::Refused(format!("{e:#}"));
        let predecessors = inspect::agents_of(node).map_err(look)?;
        let may_be_direct = args.mode != Wanted::Proxy;
        let of_predecessors = predecessors.iter().map(|it| it.shared(may_be_direct));
        let of_one = of_predecessors.max_by_key(Vec::len).unwrap_or_default();
        let mut programs = Node::load(&of_one, may_be_direct.then_some(args.max_direct))?;
        let shared = programs.maps()?;
        let tables = Arc::new(Tables::open(&shared)?);
        let living: Vec<u64> = predecessors.iter().map(inspect::Agent::instance).collect();
        tables.sweep_dials(&living)?;
        let template = Template::new(shared, tables.owner(), &programs.offsets)?;
        let memory = Memory::new(args.max_memory << 20);
        let admission = Arc::new(Admission::new(tables.clone(), workers, limit, memory, files)?);
        let workers_started = Workers::start(workers, &tables, &admission)?;
        tables.announce(node, workers, MAX_AGE.as_millis() as u32)?;
        // Two that start at the same time do not see each other: without a common map of dials they would steer each
        // other's dials for ever.
        let stranger = |a: &inspect::Agent| a.map_id(maps::DIALS) != tables.id(maps::DIALS);
        if let Some(other) = inspect::agents_of(node)?.iter().find(|a| stranger(a)) {
            bail!("agent {} of this node started at the same time: start again", other.pid());
        }
        let peers = Peers { node: node.to_owned(), tables: tables.clone(), seen: living, rests: 0 };
        let direct = match args.mode {
            Wanted::Proxy => Err(Why::Told),
            Wanted::Auto | Wanted::Direct => {
                match start_direct(args, &mut programs, &template, &tables, &admission) {
                    Ok(direct) => Ok(direct),
                    Err(error) if args.mode == Wanted::Direct => {
                        return Err(error.context(
                            "connections cannot go straight to their apps; start with --mode auto",
                        ));
                    }
                    Err(error) => {
                        tracing::warn!("all connections go through the agent: {error:#}");
                        Err(Why::Kernel)
                    }
                }
            }
        };
        let template = Arc::new(template);
        let copies = admission.copies.clone();
        let mirror =
            Mirror::new(tables.clone(), template.clone(), args.clsact, copies, args.copies_when_busy);
        let attacher = Attacher {
            tables,
            direct,
            template,
            workers: workers_started,
            max_age: MAX_AGE,
            max_backlog: args.max_backlog,
            clsact: args.clsact,
            mirror,
            takes_paths: args.routes.is_some(),
        };
        let control = Control::new(attacher, Observer::start(programs.packets()?)?);
        let log = aya_log::EbpfLogger::init(programs.ebpf_mut())
            .map_err(|error| tracing::warn!(%error, "the programs in the kernel cannot log"))
            .ok();
        Ok(Self { control, admission, peers, log, _programs: programs })
    }
}

fn start_direct(
    args: &ServeArgs,
    programs: &mut Node,
    template: &Template,
    tables: &Arc<Tables>,
    admission: &Arc<Admission>,
) -> Result<Arc<Direct>> {
    let (control, steps) = (template.control()?, programs.load_direct()?);
    let direct =
        Direct::new(tables.clone(), control, steps, programs.offsets.tcp.bits, [args.die_at, args.stop_at]);
    direct::start(&direct, programs.events()?, admission.clone())?;
    Ok(direct)
}

/// The stable code of an error of [`Steering::start`].
pub(crate) fn code(error: &anyhow::Error) -> &'static str {
    error.downcast_ref().map_or("CannotStart", NodeError::code)
}

/// Other agents of this node: a predecessor, a successor.
pub(crate) struct Peers {
    node: String,
    tables: Arc<Tables>,
    /// Their instances.
    seen: Vec<u64>,
    /// Looks at what one that has gone has left.
    rests: u32,
}

impl Peers {
    /// Removes the dials of those that have gone, and the direct connections that they decided on. One that was killed
    /// could not do so itself.
    pub(crate) fn look_round(&mut self) {
        let Ok(agents) = inspect::agents_of(&self.node) else { return };
        let living: Vec<u64> = agents.iter().map(inspect::Agent::instance).collect();
        if self.seen.iter().any(|peer| !living.contains(peer)) {
            self.rests = RESTS;
        }
        if self.rests > 0 {
            self.rests -= 1;
            if let Err(error) =
                self.tables.sweep_dials(&living).and_then(|()| self.tables.sweep_owners(&living))
            {
                tracing::warn!(%error, "cannot remove the connections of an agent that has gone");
            }
        }
        self.seen = living;
    }
}

/// Raises the limit of open files to the most that is allowed, and says what that is.
fn raise_files() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of open files")?;
    Ok(hard)
}
