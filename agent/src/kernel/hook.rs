//! The observers at an interface's ingress and egress: by TCX, whose link ends with the process; where the kernel has
//! none (before 6.6) as filters of clsact, which have to be removed.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{
        NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact,
        qdisc_detach_program,
    },
};
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use super::{
    chain,
    node::Steps,
    sys::{self, PrivateBpffs},
    template::{ANSWERS, MIRROR, OBSERVE, STATUSES, Template, TemplateError, Way as Side},
};

/// Why an interface is not observed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    #[error(transparent)]
    Program(#[from] TemplateError),
    #[error("the kernel refused a filter at {0}: {1}")]
    Refused(String, String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why connections of a namespace cannot be followed straight to their app.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error(transparent)]
    Program(#[from] TemplateError),
    #[error("the pod has no interface but the loopback one")]
    NoInterface,
    #[error(
        "the kernel refused a program at an interface, a packet socket or TCP_REPAIR: {0}; that needs kernel 6.6, CAP_NET_ADMIN and CAP_NET_RAW"
    )]
    Io(#[from] io::Error),
}

/// An attached observer. Dropping it detaches it; to be dropped in the namespace that it was made in.
pub(crate) enum Hook {
    /// Closing it detaches the program.
    Tcx(#[allow(dead_code, reason = "held")] OwnedFd),
    Clsact(#[allow(dead_code, reason = "held")] SchedClassifierLink),
}

/// Which program is where.
struct Way {
    program: &'static str,
    at: TcAttachType,
}

const WAYS: [Way; 2] =
    [Way { program: OBSERVE, at: TcAttachType::Ingress }, Way { program: ANSWERS, at: TcAttachType::Egress }];

/// Of copies of requests.
const SHOWN: [Way; 2] =
    [Way { program: MIRROR, at: TcAttachType::Ingress }, Way { program: STATUSES, at: TcAttachType::Egress }];

/// What is observed of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Also what comes over the loopback interface.
    pub(crate) loopback: bool,
    /// Also what the app answers.
    pub(crate) answers: bool,
}

impl Sight {
    /// Whether all of `other` is seen.
    pub(crate) fn includes(self, other: Self) -> bool {
        self.loopback >= other.loopback && self.answers >= other.answers
    }
}

/// An interface of the calling thread's namespace.
struct Interface {
    name: String,
    /// Bytes before the IP header.
    link_header: u32,
    is_loopback: bool,
}

impl Hook {
    /// Attaches the observers to the interfaces of the calling thread's namespace.
    pub(crate) fn attach_all(
        template: &Template,
        ns: u64,
        sight: Sight,
        clsact: bool,
    ) -> Result<Vec<Self>, HookError> {
        let ways = if sight.answers { &WAYS[..] } else { &WAYS[..1] };
        let mut hooks = Vec::new();
        for at in interfaces()?.iter().filter(|it| sight.loopback || !it.is_loopback) {
            for way in ways {
                hooks.push(Self::attach(template, ns, at, way, clsact)?);
            }
        }
        Ok(hooks)
    }

    /// Attaches the programs that copy requests to the interfaces of the calling thread's namespace, but the loopback one.
    pub(crate) fn mirror_all(template: &Template, ns: u64, clsact: bool) -> Result<Vec<Self>, HookError> {
        let mut hooks = Vec::new();
        for at in interfaces()?.iter().filter(|it| !it.is_loopback) {
            for way in &SHOWN {
                hooks.push(Self::attach(template, ns, at, way, clsact)?);
            }
        }
        Ok(hooks)
    }

    fn attach(
        template: &Template,
        ns: u64,
        at: &Interface,
        way: &Way,
        clsact: bool,
    ) -> Result<Self, HookError> {
        let program = template.observer(way.program, ns, at.link_header)?;
        let index = if_nametoindex(at.name.as_str()).map_err(io::Error::from)?;
        let refused = |e: &dyn std::error::Error| HookError::Refused(at.name.clone(), chain(e));
        let is_egress = way.at == TcAttachType::Egress;
        let tcx = if clsact { None } else { Some(sys::tcx_link_create(program.as_fd(), index, is_egress)) };
        match tcx {
            Some(Ok(link)) => Ok(Self::Tcx(link)),
            tcx => filter(&program, &at.name, way).map(Self::Clsact).map_err(|error| match tcx {
                Some(Err(tcx)) => {
                    HookError::Refused(at.name.clone(), format!("TCX: {tcx}; clsact: {}", chain(&*error)))
                }
                _ => refused(&*error),
            }),
        }
    }

    /// Removes what an agent that was killed left at the interfaces of the calling thread's namespace. Only filters
    /// of clsact outlive their agent.
    pub(crate) fn sweep() {
        for interface in interfaces().unwrap_or_default() {
            for way in WAYS.iter().chain(&SHOWN) {
                // Where there is none there is an error.
                let _ = qdisc_detach_program(&interface.name, way.at, way.program);
            }
        }
    }
}

/// Attaches the programs of direct connections to all interfaces of the calling thread's namespace but the loopback one,
/// both ways. Closing the links detaches them.
pub(crate) fn follow_all(
    template: &Template,
    steps: &Steps,
    ns: u64,
    slot: u32,
) -> Result<Vec<OwnedFd>, FollowError> {
    let mut links = Vec::new();
    for interface in interfaces()?.iter().filter(|it| !it.is_loopback) {
        let index = if_nametoindex(interface.name.as_str()).map_err(io::Error::from)?;
        // What comes in last: it must not be followed before what goes out is.
        for (way, step) in [(Side::Out, &steps.turn), (Side::In, &steps.judge)] {
            let program = template.direct(way, ns, slot, interface.link_header)?;
            // Each comes before what is there.
            for program in [step, &program] {
                links.push(sys::tcx_link_create(program.as_fd(), index, way == Side::Out)?);
            }
        }
    }
    if links.is_empty() { Err(FollowError::NoInterface) } else { Ok(links) }
}

fn filter(
    program: &OwnedFd,
    interface: &str,
    way: &Way,
) -> Result<SchedClassifierLink, Box<dyn std::error::Error>> {
    match qdisc_add_clsact(interface) {
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
        added => added?,
    }
    // aya takes over a program only by a path.
    let bpffs = PrivateBpffs::new()?;
    let path = bpffs.path(way.program);
    sys::pin(program.as_fd(), &path)?;
    let mut program = SchedClassifier::from_pin(&path)?;
    // In an upgrade two agents have filters there, and each must remove its own.
    let handle = TcHandle::new(0, (std::process::id() as u16).max(1));
    let how = TcAttachOptions::Netlink(NlOptions { handle, ..NlOptions::default() });
    let id = program.attach_with_options(interface, way.at, how)?;
    Ok(program.take_link(id)?)
}

fn interfaces() -> io::Result<Vec<Interface>> {
    const ETHERNET: u16 = 1;
    const LOOPBACK: u16 = 772;
    let all = nix::ifaddrs::getifaddrs()?.filter(|it| it.flags.contains(InterfaceFlags::IFF_UP));
    let found = all.filter_map(|it| {
        // One entry of each interface is its link's.
        let link = *it.address.as_ref()?.as_link_addr()?;
        let is_loopback = it.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        let link_header = if matches!(link.hatype(), ETHERNET | LOOPBACK) { 14 } else { 0 };
        Some(Interface { name: it.interface_name, link_header, is_loopback })
    });
    Ok(found.collect())
}
