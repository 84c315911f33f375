//! The observer at an interface's ingress: by TCX, whose link ends with the process; where the kernel has none
//! (before 6.6) as a filter of clsact, which has to be removed.

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
    sys::{self, PrivateBpffs},
    template::{OBSERVE, Template, TemplateError},
};

/// Why an interface is not observed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    #[error(transparent)]
    Program(#[from] TemplateError),
    #[error("the kernel refused the filter at the ingress of {0}: {1}")]
    Refused(String, String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An attached observer. Dropping it detaches it; to be dropped in the namespace that it was made in.
pub(crate) enum Hook {
    /// Closing it detaches the program.
    Tcx(#[allow(dead_code, reason = "held")] OwnedFd),
    Clsact(#[allow(dead_code, reason = "held")] SchedClassifierLink),
}

/// An interface of the calling thread's namespace.
struct Interface {
    name: String,
    /// Bytes before the IP header.
    link_header: u32,
    is_loopback: bool,
}

impl Hook {
    /// Attaches the observer to the interfaces of the calling thread's namespace; to the loopback one only if asked.
    pub(crate) fn attach_all(
        template: &Template,
        ns: u64,
        loopback: bool,
        clsact: bool,
    ) -> Result<Vec<Self>, HookError> {
        let found = interfaces()?;
        let wanted = found.iter().filter(|it| loopback || !it.is_loopback);
        wanted.map(|it| Self::attach(template, ns, it, clsact)).collect()
    }

    fn attach(template: &Template, ns: u64, at: &Interface, clsact: bool) -> Result<Self, HookError> {
        let program = template.observer(ns, at.link_header)?;
        let index = if_nametoindex(at.name.as_str()).map_err(io::Error::from)?;
        let refused = |e: &dyn std::error::Error| HookError::Refused(at.name.clone(), chain(e));
        let tcx = if clsact { None } else { Some(sys::tcx_link_create(program.as_fd(), index)) };
        match tcx {
            Some(Ok(link)) => Ok(Self::Tcx(link)),
            tcx => filter(&program, &at.name).map(Self::Clsact).map_err(|error| match tcx {
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
            // Where there is none there is an error.
            let _ = qdisc_detach_program(&interface.name, TcAttachType::Ingress, OBSERVE);
        }
    }
}

fn filter(program: &OwnedFd, interface: &str) -> Result<SchedClassifierLink, Box<dyn std::error::Error>> {
    match qdisc_add_clsact(interface) {
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
        added => added?,
    }
    // aya takes over a program only by a path.
    let bpffs = PrivateBpffs::new()?;
    let path = bpffs.path(OBSERVE);
    sys::pin(program.as_fd(), &path)?;
    let mut program = SchedClassifier::from_pin(&path)?;
    // In an upgrade two agents have filters there, and each must remove its own.
    let handle = TcHandle::new(0, (std::process::id() as u16).max(1));
    let how = TcAttachOptions::Netlink(NlOptions { handle, ..NlOptions::default() });
    let id = program.attach_with_options(interface, TcAttachType::Ingress, how)?;
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
