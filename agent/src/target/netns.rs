//! Network namespaces of pods: finding one, and entering it. The only module that calls `setns(2)`.

use std::{
    fs::{self, File, OpenOptions},
    io,
    net::{IpAddr, Ipv6Addr},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use nix::sched::{CloneFlags, setns};

use super::Processes;

/// A namespace is what its file is; paths to it come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NetnsId {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

/// Why a namespace cannot be steered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetnsError {
    #[error(
        "NoNamespace: {path}: {error}; the pod has gone, the path is not a network namespace, or the agent lacks CAP_SYS_PTRACE"
    )]
    Open { path: PathBuf, error: io::Error },
    #[error("NoProcess: no process of pod {0} runs on this node; is the agent's hostPID on?")]
    NoProcess(String),
    #[error(
        "TargetUsesHostNetwork: the pod shares the network namespace of its node, which is never steered"
    )]
    HostNetwork,
    #[error("WrongNamespace: {path} holds none of the pod's addresses {ips:?}; the list of addresses is old")]
    WrongNamespace { path: PathBuf, ips: Vec<IpAddr> },
    #[error(
        "NetnsNotAllowed: a network namespace is named by its path in a local file only; here, name the pod's UID"
    )]
    PathNotAllowed,
    #[error("NoNamespace: the target names neither a pod UID nor, in a local file, a namespace")]
    Unnamed,
}

impl NetnsError {
    /// The stable code, for the acknowledgement.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } | Self::Unnamed => "NoNamespace",
            Self::NoProcess(_) => "NoProcess",
            Self::HostNetwork => "TargetUsesHostNetwork",
            Self::WrongNamespace { .. } => "WrongNamespace",
            Self::PathNotAllowed => "NetnsNotAllowed",
        }
    }
}

/// An open network namespace. It stays alive as long as this does, so it must be dropped when the pod goes.
#[derive(Debug)]
pub(crate) struct Netns {
    file: File,
    path: Mutex<PathBuf>,
    /// Where it was found by its pod: any process of it will do.
    pod: Option<String>,
    pub(crate) id: NetnsId,
}

/// The namespace that the process was started in.
fn home() -> io::Result<&'static File> {
    static HOME: OnceLock<File> = OnceLock::new();
    if let Some(home) = HOME.get() {
        return Ok(home);
    }
    let file = File::open("/proc/self/ns/net")?;
    Ok(HOME.get_or_init(|| file))
}

fn id(file: &File) -> io::Result<NetnsId> {
    use std::os::unix::fs::MetadataExt;
    let meta = file.metadata()?;
    Ok(NetnsId { dev: meta.dev(), ino: meta.ino() })
}

impl Netns {
    /// Opens the namespace at `path`, unless it is the node's own or the agent's.
    pub(crate) fn open(path: &Path) -> Result<Self, NetnsError> {
        let failed = |error| NetnsError::Open { path: path.to_owned(), error };
        // A pipe would have us wait for somebody to write.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
        let id_here = id(&file).map_err(failed)?;
        let own = id(home().map_err(failed)?).map_err(failed)?;
        // With hostPID, process 1 is the node's own.
        let node = File::open("/proc/1/ns/net").and_then(|f| id(&f)).ok();
        if id_here == own || Some(id_here) == node {
            return Err(NetnsError::HostNetwork);
        }
        let netns = Self { file, path: Mutex::new(path.to_owned()), pod: None, id: id_here };
        netns.run(|| Ok(())).map_err(failed)?; // any file can be opened
        Ok(netns)
    }

    /// Finds the namespace of a pod through its processes. Not every process of a pod's cgroup is in the pod's
    /// network: a runtime keeps helpers there (`conmon` of CRI-O), so the namespace that holds one of `ips` is it.
    pub(crate) fn of_pod(uid: &str, ips: &[IpAddr], processes: &Processes) -> Result<Self, NetnsError> {
        let mut refused = None;
        let mut seen = Vec::new();
        for pid in processes.of_pod(uid) {
            let path = path_of(*pid);
            let Some(id) = id_at(&path) else { continue }; // it has ended, or is a zombie
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            let found = Self::open(&path).and_then(|netns| netns.must_hold(ips).map(|()| netns));
            match found {
                Ok(netns) => return Ok(Self { pod: Some(uid.to_owned()), ..netns }),
                // A helper in the node's network says less than a namespace that is none of the pod's.
                Err(error) if !matches!(error, NetnsError::HostNetwork) => refused = Some(error),
                Err(error) => drop(refused.get_or_insert(error)),
            }
        }
        Err(refused.unwrap_or_else(|| NetnsError::NoProcess(uid.to_owned())))
    }

    /// Refuses a namespace that holds none of `ips`: process ids are used again.
    pub(crate) fn must_hold(&self, ips: &[IpAddr]) -> Result<(), NetnsError> {
        if ips.is_empty() {
            return Ok(());
        }
        let held = self.run(addresses).unwrap_or_default();
        if held.iter().any(|ip| ips.contains(ip)) {
            return Ok(());
        }
        Err(NetnsError::WrongNamespace { path: self.path().clone(), ips: ips.to_vec() })
    }

    /// Whether the path still leads to this namespace. A pod whose path is gone has ended, although the
    /// descriptors held here keep its namespace alive.
    pub(crate) fn is_current(&self) -> bool {
        let leads_here = |path: &Path| id_at(path) == Some(self.id);
        let mut path = self.path();
        if leads_here(&path) {
            return true;
        }
        // The process may have ended, and others of the pod live on.
        let Some(uid) = &self.pod else { return false };
        let processes = Processes::scan();
        let mut others = processes.of_pod(uid).iter().map(|pid| path_of(*pid));
        let Some(other) = others.find(|other| leads_here(other)) else { return false };
        *path = other;
        true
    }

    fn path(&self) -> MutexGuard<'_, PathBuf> {
        self.path.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The interface that has a link-local address, by its index.
    pub(crate) fn scope_of(&self, ip: Ipv6Addr) -> io::Result<u32> {
        let find = || {
            let scopes = nix::ifaddrs::getifaddrs()?.filter_map(|i| {
                let address = *i.address?.as_sockaddr_in6()?;
                (address.ip() == ip).then(|| address.scope_id())
            });
            Ok(scopes.max().unwrap_or(0))
        };
        self.visit(find)?
    }

    /// Runs `f` on a thread of its own inside the namespace.
    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let inside = || {
                setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)?;
                f()
            };
            scope.spawn(inside).join().unwrap_or_else(|_| Err(io::Error::other("panic in a pod's namespace")))
        })
    }

    /// Runs `f` inside the namespace on the calling thread, which is back out before anything else runs.
    ///
    /// 3 us instead of the 100 us of a thread of its own: for the socket of each dial. A thread that cannot come
    /// back must not go on in a pod's namespace: the process ends, and with it all steering.
    pub(crate) fn visit<T>(&self, f: impl FnOnce() -> T) -> io::Result<T> {
        let home = home()?;
        setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)?;
        let value = f();
        if let Err(e) = setns(home.as_fd(), CloneFlags::CLONE_NEWNET) {
            tracing::error!(error = %e, "cannot return to the agent's own network namespace: ending the process");
            std::process::abort();
        }
        Ok(value)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Addresses of the calling thread's namespace.
pub(crate) fn addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs()?;
    Ok(interfaces
        .filter_map(|i| {
            let address = i.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .collect())
}

pub(super) fn id_at(path: &Path) -> Option<NetnsId> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path).ok()?;
    Some(NetnsId { dev: meta.dev(), ino: meta.ino() })
}

pub(super) fn path_of(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/net"))
}
