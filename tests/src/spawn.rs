//! The only unsafe code of the fixtures: what a child does between fork and exec, and one ioctl.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{dup2_raw, getppid};

/// The child leads a process group, and is killed when its parent's thread ends.
pub fn tied(command: &mut Command) {
    let parent = nix::unistd::getpid();
    command.process_group(0);
    let child = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            // It ended before we could ask to be told.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // The parent may have blocked signals for itself, and a mask is inherited.
        SigSet::empty().thread_set_mask()?;
        Ok(())
    };
    // SAFETY: between fork and exec, only async-signal-safe calls are sound. These are bare system calls on
    // values captured before the fork; `io::Error` from an errno or a kind does not allocate.
    unsafe { command.pre_exec(child) };
}

/// As [`tied`], and the child enters `namespace`.
pub(crate) fn in_namespace(command: &mut Command, namespace: File) {
    tied(command);
    let child = move || Ok(setns(&namespace, CloneFlags::CLONE_NEWNET)?);
    // SAFETY: setns is a bare system call on a descriptor captured before the fork.
    unsafe { command.pre_exec(child) };
}

/// The child gets `fd` as descriptor 3, as sd_listen_fds(3) wants it.
pub(crate) fn with_listener(command: &mut Command, fd: OwnedFd) {
    const FIRST: i32 = 3;
    command.env("LISTEN_FDS", "1").env_remove("LISTEN_PID");
    let child = move || {
        if fd.as_raw_fd() == FIRST {
            let flags = nix::fcntl::FdFlag::empty();
            nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFD(flags))?;
            return Ok(());
        }
        // SAFETY: the target is a plain number. In the child, between fork and exec, no Rust value uses the
        // descriptor that it replaces; forgetting the owned result keeps it open over exec.
        let passed = unsafe { dup2_raw(&fd, FIRST) }?;
        std::mem::forget(passed);
        Ok(())
    };
    // SAFETY: fcntl and dup2 are async-signal-safe, and nothing here allocates.
    unsafe { command.pre_exec(child) };
}

/// The child may open no more files than this.
pub(crate) fn with_open_files(command: &mut Command, limit: u64) {
    let child = move || Ok(setrlimit(Resource::RLIMIT_NOFILE, limit, limit)?);
    // SAFETY: setrlimit is a bare system call on values captured before the fork.
    unsafe { command.pre_exec(child) };
}

/// Makes an open `/dev/net/tun` the device `name`, for bare packets.
pub(crate) fn name_tun(tun: &File, name: &str) -> io::Result<()> {
    const TUNSETIFF: nix::libc::Ioctl = 0x4004_54ca;
    const IFF_TUN: u16 = 0x0001;
    const IFF_NO_PI: u16 = 0x1000;
    let mut request = [0_u8; 40]; // struct ifreq: the name in 16 bytes, then the flags
    request[..name.len()].copy_from_slice(name.as_bytes());
    request[16..18].copy_from_slice(&(IFF_TUN | IFF_NO_PI).to_ne_bytes());
    // SAFETY: the kernel reads and writes one `struct ifreq`, which has 40 bytes; the array outlives the call.
    let done = unsafe { nix::libc::ioctl(tun.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
