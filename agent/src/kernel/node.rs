//! The programs that run once per node: who listens where, and who really called.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Map, MapData, RingBuf},
    programs::{BtfTracePoint, CgroupAttachMode, CgroupSockAddr, SchedClassifier, SockOps},
};
use byway_abi::maps;

use super::{OBJECT, Offsets, btf::NoBtf, chain, sys::PrivateBpffs};

/// Why the agent cannot steer on this node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error(transparent)]
    NoBtf(#[from] NoBtf),
    #[error("NoCgroup2: no cgroup v2 hierarchy is mounted; mount one (`mount -t cgroup2 none DIR`)")]
    NoCgroup2,
    #[error(
        "NotPermitted: the kernel refused the eBPF programs ({0}); the agent needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and kernel 5.15 or later"
    )]
    Refused(String),
}

impl NodeError {
    /// The stable code, for the acknowledgement.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoBtf(_) => "NoBtf",
            Self::NoCgroup2 => "NoCgroup2",
            Self::Refused(_) => "NotPermitted",
        }
    }
}

fn refused(error: impl std::error::Error) -> NodeError {
    NodeError::Refused(chain(&error))
}

/// The loaded programs and maps; dropping it detaches and frees all.
pub(crate) struct Node {
    ebpf: Ebpf,
    pub(crate) offsets: Offsets,
}

/// Programs at the interfaces of all targets.
pub(crate) struct Steps {
    /// Behind what comes in.
    pub(crate) judge: OwnedFd,
    /// Behind what goes out.
    pub(crate) turn: OwnedFd,
}

impl Node {
    /// Loads and attaches. `shared` are maps of a predecessor that still runs on this node, by name. So many
    /// connections may go straight to their apps.
    pub(crate) fn load(
        shared: &[(&'static str, MapData)],
        max_direct: Option<u32>,
    ) -> Result<Self, NodeError> {
        let cgroup = File::open(cgroup2_root()?).map_err(refused)?;
        let vmlinux = Btf::from_sys_fs().map_err(|e| NoBtf(e.to_string()))?;
        let mut node = Self::open(shared, max_direct, &vmlinux)?;
        node.attach(&cgroup, &vmlinux)?;
        Ok(node)
    }

    /// Makes the maps and loads nothing else.
    pub(crate) fn open(
        shared: &[(&'static str, MapData)],
        max_direct: Option<u32>,
        vmlinux: &Btf,
    ) -> Result<Self, NodeError> {
        let offsets = Offsets::read()?;
        let mut loader = EbpfLoader::new();
        loader
            .btf(Some(vmlinux))
            .override_global("OFF_SK_NET", &offsets.sk_net, true)
            .override_global("OFF_NET_COOKIE", &offsets.net_cookie, true)
            .override_global("OFF_INET_SPORT", &offsets.inet_sport, true)
            .override_global("OFF_SK_FAMILY", &offsets.sk_family, true)
            .override_global("OFF_SK_PROTOCOL", &offsets.sk_protocol, true)
            .override_global("OFF_SK_SADDR4", &offsets.sk_saddr4, true)
            .override_global("OFF_SK_SADDR6", &offsets.sk_saddr6, true)
            .override_global("OFF_SK_UID", &offsets.sk_uid, true)
            .override_global("OFF_SK_V6ONLY", &offsets.sk_v6only, true)
            .override_global("MASK_SK_V6ONLY", &offsets.mask_v6only, true)
            .override_global("OFF_SK_DADDR4", &offsets.sk_daddr4, true)
            .override_global("OFF_SK_DADDR6", &offsets.sk_daddr6, true)
            .override_global("OFF_SK_DPORT", &offsets.sk_dport, true)
            .override_global("OFF_TP_STATE", &offsets.tcp.state, true)
            .override_global("OFF_TP_SND_NXT", &offsets.tcp.snd_nxt, true)
            .override_global("OFF_TP_SND_UNA", &offsets.tcp.snd_una, true)
            .override_global("OFF_TP_WRITE_SEQ", &offsets.tcp.write_seq, true)
            .override_global("OFF_TP_RCV_NXT", &offsets.tcp.rcv_nxt, true)
            .override_global("OFF_TP_COPIED", &offsets.tcp.copied_seq, true)
            .override_global("OFF_TP_RCV_WND", &offsets.tcp.rcv_wnd, true)
            .override_global("OFF_TP_RCV_WUP", &offsets.tcp.rcv_wup, true)
            .override_global("OFF_TP_SND_WND", &offsets.tcp.snd_wnd, true)
            .override_global("OFF_TP_MAX_WIN", &offsets.tcp.max_window, true)
            .override_global("OFF_TP_MSS_CLAMP", &offsets.tcp.mss_clamp, true)
            .override_global("OFF_TP_TSOFFSET", &offsets.tcp.tsoffset, true)
            .override_global("OFF_TP_OPTIONS", &offsets.tcp.options, true);
        // Those of direct connections would take 10 MiB where there are none.
        for map in [maps::CONNS, maps::ANSWERS] {
            loader.map_max_entries(map, max_direct.unwrap_or(1));
        }
        if max_direct.is_none() {
            for map in [maps::KEYS, maps::ORIGINS] {
                loader.map_max_entries(map, 1);
            }
            loader.map_max_entries(maps::EVENTS, 4096);
        }
        let bpffs = if shared.is_empty() { None } else { Some(PrivateBpffs::new().map_err(refused)?) };
        // aya takes over a map only by a path.
        let at: Vec<PathBuf> =
            bpffs.iter().flat_map(|bpffs| shared.iter().map(|(name, _)| bpffs.path(name))).collect();
        for (path, (name, map)) in at.iter().zip(shared) {
            map.pin(path).map_err(refused)?;
            loader.map_pin_path(name, path);
        }
        let ebpf = loader.load(OBJECT).map_err(refused)?;
        Ok(Self { ebpf, offsets })
    }

    fn attach(&mut self, cgroup: &File, vmlinux: &Btf) -> Result<(), NodeError> {
        let ebpf = &mut self.ebpf;
        let listening: &mut BtfTracePoint = program(ebpf, "listening")?;
        listening.load("inet_sock_set_state", vmlinux).map_err(refused)?;
        listening.attach().map_err(refused)?;
        let established: &mut SockOps = program(ebpf, "established")?;
        established.load().map_err(refused)?;
        // With a link, `Single` means that many may be attached; aya's `AllowMultiple` is refused with one.
        established.attach(cgroup, CgroupAttachMode::Single).map_err(refused)?;
        for name in ["getpeername4", "getpeername6"] {
            let getpeername: &mut CgroupSockAddr = program(ebpf, name)?;
            getpeername.load().map_err(refused)?;
            getpeername.attach(cgroup, CgroupAttachMode::Single).map_err(refused)?;
        }
        Ok(())
    }

    /// Loads the programs that stand behind those at a target's interfaces. Takes the verifier a while.
    pub(crate) fn load_direct(&mut self) -> Result<Steps, NodeError> {
        Ok(Steps { judge: self.load_step("byway_judge")?, turn: self.load_step("byway_turn")? })
    }

    fn load_step(&mut self, name: &str) -> Result<OwnedFd, NodeError> {
        let step: &mut SchedClassifier = program(&mut self.ebpf, name)?;
        step.load().map_err(refused)?;
        step.fd().map_err(refused)?.as_fd().try_clone_to_owned().map_err(refused)
    }

    /// What the programs tell of connections. To be taken once.
    pub(crate) fn events(&mut self) -> Result<RingBuf<MapData>, NodeError> {
        self.ring(maps::EVENTS)
    }

    /// Descriptors of all maps that programs share, by name.
    pub(crate) fn maps(&self) -> std::io::Result<HashMap<String, OwnedFd>> {
        self.ebpf
            .maps()
            .filter_map(|(name, map)| Some((name.to_owned(), descriptor(map)?)))
            .map(|(name, fd)| Ok((name, fd.try_clone_to_owned()?)))
            .collect()
    }

    /// What the observers copy. To be taken once.
    pub(crate) fn packets(&mut self) -> Result<RingBuf<MapData>, NodeError> {
        self.ring(maps::PACKETS)
    }

    fn ring(&mut self, name: &str) -> Result<RingBuf<MapData>, NodeError> {
        self.ebpf.take_map(name).ok_or_else(|| missing(name))?.try_into().map_err(refused)
    }

    /// For the programs' log.
    pub(crate) fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }
}

fn missing(map: &str) -> NodeError {
    NodeError::Refused(format!("no map {map}"))
}

fn program<'a, T>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut T, NodeError>
where
    &'a mut T: TryFrom<&'a mut aya::programs::Program, Error = aya::programs::ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or_else(|| NodeError::Refused(format!("no program {name}")))?;
    program.try_into().map_err(refused)
}

fn descriptor(map: &Map) -> Option<BorrowedFd<'_>> {
    let (Map::Array(data)
    | Map::HashMap(data)
    | Map::LruHashMap(data)
    | Map::PerCpuArray(data)
    | Map::SockMap(data)
    | Map::RingBuf(data)
    | Map::SkStorage(data)
    | Map::Unsupported(data)) = map
    else {
        return None;
    };
    Some(data.fd().as_fd())
}

/// The root of cgroup v2, which on hybrid systems is not `/sys/fs/cgroup`.
fn cgroup2_root() -> Result<PathBuf, NodeError> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(refused)?;
    highest_cgroup2(&mounts).ok_or(NodeError::NoCgroup2)
}

/// In a cgroup namespace of its own a pod sees its own cgroup as `/`, and the node's root above it, as `/../..`.
fn highest_cgroup2(mounts: &str) -> Option<PathBuf> {
    // "36 25 0:31 /root /mount/point options - cgroup2 source ..."
    let found = mounts.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let up = root.split('/').filter(|part| *part == "..").count();
        let down = root.split('/').filter(|part| !part.is_empty() && *part != "..").count();
        filesystem.starts_with("cgroup2 ").then(|| (down, Reverse(up), PathBuf::from(point)))
    });
    found.min().map(|(_, _, point)| point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_cgroup_is_the_nodes() {
        let own = "1 2 0:30 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw";
        let node = "3 2 0:30 /../../.. /host/cgroup ro - cgroup2 cgroup2 rw,nsdelegate";
        let pod = "4 2 0:30 /../other /elsewhere ro - cgroup2 cgroup2 rw";
        let v1 = "5 2 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let of = |lines: &[&str]| highest_cgroup2(&lines.join("\n"));
        assert_eq!(of(&[v1, own, pod, node]), Some("/host/cgroup".into()));
        assert_eq!(of(&[pod, own]), Some("/sys/fs/cgroup".into()));
        assert_eq!(of(&[v1]), None);
    }
}
