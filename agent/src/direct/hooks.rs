//! The programs at a pod's interfaces, and the socket that packets are injected by.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
};

use crate::{
    kernel::{self, FollowError, Steps, Template},
    sys,
    target::Netns,
};

/// Dropping it detaches the programs: held by the target, and by each connection that was taken over, whose packets they
/// change.
pub(crate) struct Hooks {
    links: Vec<OwnedFd>,
    packets: OwnedFd,
}

impl Hooks {
    /// Attaches to all interfaces of the namespace but the loopback one.
    pub(crate) fn attach(
        template: &Template,
        steps: &Steps,
        netns: &Netns,
        ns: u64,
        slot: u32,
    ) -> Result<Self, FollowError> {
        let made = netns.run(|| {
            sys::may_repair()?;
            let links = kernel::follow_all(template, steps, ns, slot);
            Ok(links.and_then(|links| Ok((links, sys::packet_socket()?))))
        })?;
        let (links, packets) = made?;
        Ok(Self { links, packets })
    }

    /// The first descriptor behind those of the programs.
    pub(crate) fn above(&self) -> RawFd {
        self.links.iter().map(|link| link.as_raw_fd() + 1).max().unwrap_or_default()
    }

    /// Has a packet come in as if it came from outside.
    pub(crate) fn inject(&self, frame: &[u8], interface: u32, protocol: u16, mark: u32) -> io::Result<()> {
        sys::send_frame(self.packets.as_fd(), frame, interface, protocol, mark)
    }
}
