//! The programs that are loaded anew for each target, with constants of its own: `steer`, `byway_observe` and
//! `byway_answers`.
//!
//! The object is parsed once. A load patches its constants, points it at the maps of the node and asks the kernel;
//! only the link is kept, which holds the program, which holds the maps: 1 ms, one descriptor and 4 KB per target
//! (`aya::EbpfLoader` takes 20 ms, for it reads the kernel's BTF each time).

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::OnceLock,
};

use aya::maps::{Map, MapData, RingBuf};
use aya_obj::{EbpfSectionKind, Object};
use byway_abi::maps;

use super::{OBJECT, Offsets, sys};

const BPF_PROG_TYPE_SK_LOOKUP: u32 = 30;
const BPF_SK_LOOKUP: u32 = 36;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const STEER: &str = "steer";
const BPF_PROG_TYPE_SYSCALL: u32 = 31;
const CONTROL: &str = "byway_control";
/// Of what comes, and of what goes: also the names of the filters where there is no TCX.
pub(super) const OBSERVE: &str = "byway_observe";
pub(super) const ANSWERS: &str = "byway_answers";
/// Of copies, the same.
pub(super) const MIRROR: &str = "byway_mirror";
pub(super) const STATUSES: &str = "byway_statuses";
/// Bytes of the ring of copies.
const COPIES: u32 = 16 << 20;

/// Why a target's program could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("the embedded eBPF object is damaged ({0}): rebuild the agent")]
    Object(String),
    #[error("the kernel refused a program of the target: {0}; {1}")]
    Refused(io::Error, String),
    #[error("the kernel refused a map or link of the target's program: {0}")]
    Kernel(#[from] io::Error),
}

fn damaged(e: impl std::fmt::Display) -> TemplateError {
    TemplateError::Object(e.to_string())
}

/// Of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// What one target's program is told.
#[derive(Clone, Copy)]
pub(crate) struct SteerConstants {
    pub(crate) ns: u64,
    pub(crate) slot: u32,
    pub(crate) own_port: u32,
    pub(crate) workers: u32,
    pub(crate) max_age_ns: u64,
    /// Of each worker's listener.
    pub(crate) max_backlog: u32,
}

/// The parsed object.
pub(crate) struct Template {
    object: Object,
    maps: HashMap<String, OwnedFd>,
    owner: u32,
    offsets: Offsets,
    /// The ring of copies, once there is one.
    copies: OnceLock<OwnedFd>,
}

impl Template {
    /// `maps` are all maps of the object but `.rodata`, by name; `owner` is what direct connections of this agent have
    /// as their [`Conn::owner`](byway_abi::direct::Conn::owner).
    pub(crate) fn new(
        maps: HashMap<String, OwnedFd>,
        owner: u32,
        offsets: &Offsets,
    ) -> Result<Self, TemplateError> {
        let mut object = Object::parse(OBJECT).map_err(damaged)?;
        (object.btf, object.btf_ext) = (None, None);
        Ok(Self { object, maps, owner, offsets: *offsets, copies: OnceLock::new() })
    }

    /// Makes the ring of copies, which programs that are loaded from now on write to. To be called once.
    pub(crate) fn copies(&self) -> Result<RingBuf<MapData>, TemplateError> {
        let mut map = self.object.maps.get(maps::COPIES).ok_or_else(|| damaged("no ring of copies"))?.clone();
        map.set_max_entries(COPIES);
        let made = MapData::create(map, maps::COPIES, None).map_err(damaged)?;
        let fd = made.fd().as_fd().try_clone_to_owned()?;
        self.copies.set(fd).map_err(|_| damaged("the ring of copies has been made before"))?;
        RingBuf::try_from(Map::RingBuf(made)).map_err(damaged)
    }

    /// Attaches the program to the namespace; closing what comes back detaches it.
    pub(crate) fn attach(program: impl AsFd, netns: impl AsFd) -> io::Result<OwnedFd> {
        sys::link_create(program.as_fd(), netns.as_fd(), BPF_SK_LOOKUP)
    }

    /// Loads an observer for interfaces whose frames have so many bytes before the IP header.
    pub(super) fn observer(&self, name: &str, ns: u64, link_header: u32) -> Result<OwnedFd, TemplateError> {
        let globals = [("NS", &ns.to_ne_bytes()[..]), ("LINK_HEADER", &link_header.to_ne_bytes()[..])];
        self.load(name, BPF_PROG_TYPE_SCHED_CLS, 0, &globals)
    }

    /// Loads the program that follows direct connections one way of interfaces whose frames have so many bytes before the
    /// IP header.
    pub(crate) fn direct(
        &self,
        way: Way,
        ns: u64,
        slot: u32,
        link_header: u32,
    ) -> Result<OwnedFd, TemplateError> {
        let globals = [
            ("NS", &ns.to_ne_bytes()[..]),
            ("OWN_SLOT", &slot.to_ne_bytes()),
            ("OWNER", &self.owner.to_ne_bytes()),
            ("LINK_LEN", &link_header.to_ne_bytes()),
        ];
        let name = match way {
            Way::In => "byway_ingress",
            Way::Out => "byway_egress",
        };
        self.load(name, BPF_PROG_TYPE_SCHED_CLS, 0, &globals)
    }

    /// Loads the program that changes connections on the agent's behalf.
    pub(crate) fn control(&self) -> Result<OwnedFd, TemplateError> {
        let globals = [
            ("OFF_TASK_NSPROXY", &self.offsets.task_nsproxy.to_ne_bytes()[..]),
            ("OFF_NSPROXY_NET", &self.offsets.nsproxy_net.to_ne_bytes()),
            ("OFF_NET_HOOKS4", &self.offsets.net_hooks4.to_ne_bytes()),
            ("OFF_NET_HOOKS6", &self.offsets.net_hooks6.to_ne_bytes()),
        ];
        self.load(CONTROL, BPF_PROG_TYPE_SYSCALL, 0, &globals)
    }

    /// Loads the program of one target.
    pub(crate) fn steer(&self, c: SteerConstants) -> Result<OwnedFd, TemplateError> {
        let globals: [(&str, &[u8]); 8] = [
            ("NS", &c.ns.to_ne_bytes()),
            ("SLOT", &c.slot.to_ne_bytes()),
            ("OWN_PORT", &c.own_port.to_ne_bytes()),
            ("WORKERS", &c.workers.to_ne_bytes()),
            ("MAX_AGE_NS", &c.max_age_ns.to_ne_bytes()),
            ("MAX_BACKLOG", &c.max_backlog.to_ne_bytes()),
            ("OFF_ACK_BACKLOG", &self.offsets.ack_backlog.to_ne_bytes()),
            ("OFF_QLEN", &self.offsets.qlen.to_ne_bytes()),
        ];
        self.load(STEER, BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, &globals)
    }

    fn load(
        &self,
        name: &str,
        kind: u32,
        attach_type: u32,
        globals: &[(&str, &[u8])],
    ) -> Result<OwnedFd, TemplateError> {
        let mut object = self.object.clone();
        object.patch_map_data(globals.iter().map(|(n, v)| (*n, (*v, true))).collect()).map_err(damaged)?;
        let text = object.functions.keys().map(|k| k.0).collect();
        let all = std::mem::take(&mut object.maps);
        let mut rodata = Vec::new(); // held until the program is loaded, which then holds them
        let mut used = Vec::with_capacity(all.len());
        for (name, map) in &all {
            let fd = if map.section_kind() == EbpfSectionKind::Rodata {
                let data = MapData::create(map.clone(), "rodata", None).map_err(damaged)?;
                sys::freeze_rodata(data.fd().as_fd(), map.data())?;
                let fd = data.fd().as_fd().as_raw_fd();
                rodata.push(data);
                fd
            } else if let Some(copies) = self.copies.get().filter(|_| name == maps::COPIES) {
                copies.as_raw_fd()
            } else {
                self.maps.get(name).ok_or_else(|| damaged(format!("no map {name}")))?.as_raw_fd()
            };
            used.push((name.as_str(), fd, map));
        }
        object.relocate_maps(used.into_iter(), &text).map_err(damaged)?;
        object.relocate_calls(&text).map_err(damaged)?;
        let program = object.programs.get(name).ok_or_else(|| damaged("no program"))?;
        let function = object.functions.get(&program.function_key()).ok_or_else(|| damaged("no function"))?;
        sys::prog_load(&sys::Program {
            name,
            kind,
            attach_type,
            sleeps: kind == BPF_PROG_TYPE_SYSCALL,
            instructions: &function.instructions,
            license: &object.license,
        })
        .map_err(|(e, log)| TemplateError::Refused(e, log))
    }
}
