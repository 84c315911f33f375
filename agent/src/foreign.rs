//! Steers a pod's ports to another program's listening sockets, so that the benchmark can set haproxy and nginx
//! where the agent would be. No part of the agent: `examples/steer.rs` calls it.
//!
//! Only the steering program runs. What the agent attaches once per node is left out, in favour of the others.

use std::{
    collections::BTreeMap,
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        linux::fs::MetadataExt,
    },
    path::Path,
    sync::Arc,
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use aya::Btf;
use byway_abi::MAX_WORKERS;
use socket2::SockRef;

use crate::{
    kernel::{Node, SteerConstants, Template, sys::netns_cookie},
    sock_diag::listening,
    sys,
    tables::{Slot, Tables},
    target::Netns,
};

/// A heartbeat that tells nothing: whether the other program hangs is not looked at.
const MAX_AGE: Duration = Duration::from_secs(60);
const MAX_BACKLOG: u32 = 4096;

/// Steers `ports` of the namespace to the sockets on which process `pid` listens at `listens_on`, until killed.
/// Calls `ready` once it does.
///
/// # Errors
///
/// When the kernel refuses, or the process does not listen.
pub fn steer(netns: &Path, pid: u32, listens_on: u16, ports: &[u16], ready: impl FnOnce()) -> Result<()> {
    let listeners = listeners(pid, listens_on)?;
    let first =
        listeners.first().with_context(|| format!("process {pid} does not listen on {listens_on}"))?;
    let workers = u32::try_from(listeners.len())?;
    ensure!(workers <= MAX_WORKERS, "more than {MAX_WORKERS} sockets listen on {listens_on}");

    let netns = Netns::open(netns)?;
    let ns = netns_cookie(first.as_fd())?;
    let node = Node::open(&[], None, &Btf::from_sys_fs()?)?;
    let maps = node.maps()?;
    let tables = Arc::new(Tables::open(&maps)?);
    let template = Template::new(maps, 0, &node.offsets)?;
    let slot = Slot::take(&tables, ns).context("no slot")?;
    tables.seed_listening(ns, || netns.run(listening))?;
    tables.change_ports(slot.index(), ns, ports, &[])?;
    for (worker, listener) in (0..).zip(&listeners) {
        tables.set_listener(slot.index(), worker, listener)?;
        tables.beat(worker, true);
    }
    drop(listeners); // a socket in the map ends with the process that listens
    let constants = SteerConstants {
        ns,
        slot: slot.index(),
        own_port: listens_on.into(),
        workers,
        max_age_ns: MAX_AGE.as_nanos() as u64,
        max_backlog: MAX_BACKLOG,
    };
    let _link = Template::attach(template.steer(constants)?, &netns)?;
    ready();
    loop {
        sleep(MAX_AGE / 10);
        (0..workers).for_each(|worker| tables.beat(worker, true));
    }
}

/// The process' sockets that listen at `port`, each once, in the order of their making.
fn listeners(pid: u32, port: u16) -> io::Result<Vec<OwnedFd>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let is_socket =
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        let Some(fd) = entry.file_name().to_str().and_then(|n| n.parse().ok()).filter(|_| is_socket) else {
            continue;
        };
        let socket = sys::descriptor_of(pid, fd)?;
        let view = SockRef::from(&socket);
        let at_port = view.local_addr()?.as_socket().is_some_and(|a| a.port() == port);
        if at_port && view.is_listener()? {
            found.insert(fs::metadata(entry.path())?.st_ino(), socket);
        }
    }
    Ok(found.into_values().collect())
}
