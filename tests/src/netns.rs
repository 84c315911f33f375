//! A network namespace of our own, kept alive by a mount that other programs can open.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::scratch::is_stale;
use crate::spawn;

const DIR: &str = "/run/netns";

/// A network namespace. Dropped, its name goes; the namespace itself goes with its last process and socket.
#[derive(Debug)]
pub struct Netns {
    path: PathBuf,
    file: File,
}

/// An open namespace without a name.
#[derive(Debug)]
pub(crate) struct Handle(File);

impl Handle {
    /// See [`Netns::run`].
    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        run(&self.0, f)
    }
}

impl Netns {
    /// Makes a namespace with `lo` up, at `/run/netns/bw-PID-N-NAME`.
    ///
    /// # Errors
    ///
    /// Without root.
    pub fn new(name: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static STALE: Once = Once::new();
        STALE.call_once(remove_stale);

        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(DIR).join(format!("bw-{}-{n}-{name}", std::process::id()));
        fs::create_dir_all(DIR)?;
        File::create(&path).with_context(|| format!("cannot create {} (root is needed)", path.display()))?;
        let made = thread::scope(|scope| scope.spawn(|| make(&path)).join());
        match made {
            Ok(Ok(file)) => Ok(Self { path, file }),
            Ok(Err(e)) => {
                let _ = fs::remove_file(&path);
                Err(e).context("cannot make a network namespace (root is needed)")
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// For `nsenter --net=PATH` and for the routes file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that will run inside. Only the network is another: cgroups and mounts are the caller's, which
    /// `ip netns exec` would hide. It leads a process group of its own, and it dies with the *thread* that
    /// spawns it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        spawn::in_namespace(&mut command, self.dup());
        command
    }

    /// Runs `f` on a thread inside. Sockets made there stay there, so they can be used outside as well.
    ///
    /// # Panics
    ///
    /// As `f` does.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        run(&self.file, f)
    }

    pub(crate) fn handle(&self) -> io::Result<Handle> {
        self.file.try_clone().map(Handle)
    }

    /// Has clients inside not run out of ports where they close first, however many connections they make.
    ///
    /// # Errors
    ///
    /// Without root.
    pub fn spare_ports(&self) -> io::Result<()> {
        self.run(|| {
            fs::write("/proc/sys/net/ipv4/ip_local_port_range", "10000 65535")?;
            fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1")
        })
    }

    /// Starts a thread inside, say for load that goes on while a test does something else.
    pub fn thread<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
        let file = self.dup();
        thread::spawn(move || {
            enter(&file);
            f()
        })
    }

    fn dup(&self) -> File {
        self.file.try_clone().expect("a descriptor to spare")
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// On a thread of its own, which ends in the new namespace.
fn make(path: &Path) -> io::Result<File> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    // The kernel copies this setting into new namespaces, so a machine may have it on.
    for which in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "0");
    }
    mount(Some("/proc/thread-self/ns/net"), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    File::open(path)
}

fn run<T: Send>(namespace: &File, f: impl FnOnce() -> T + Send) -> T {
    let inside = thread::scope(|scope| {
        scope
            .spawn(|| {
                enter(namespace);
                f()
            })
            .join()
    });
    inside.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn enter(namespace: &File) {
    setns(namespace, CloneFlags::CLONE_NEWNET).expect("root, and a namespace that is held open");
}

fn remove(path: &Path) {
    // Nothing is lost if either fails: the next process tries again.
    let _ = umount2(path, MntFlags::MNT_DETACH);
    let _ = fs::remove_file(path);
}

/// Removes the namespaces of processes that are gone, and ends what still runs in them: a killed test takes
/// its children with it, but not its children's children.
pub(crate) fn remove_stale() {
    use std::os::unix::fs::MetadataExt;

    for entry in fs::read_dir(DIR).into_iter().flatten().filter_map(Result::ok) {
        if !is_stale(&entry.file_name()) {
            continue;
        }
        if let Ok(namespace) = fs::metadata(entry.path()) {
            crate::process::kill_all_in(namespace.dev(), namespace.ino());
        }
        remove(&entry.path());
    }
}
