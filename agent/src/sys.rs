//! System calls that no crate wraps.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use nix::sys::signal::{SigSet, Signal};

/// Bytes sent and not acknowledged yet (`SIOCOUTQ`, tcp(7)).
pub(crate) fn outq(socket: impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes one int.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 { Ok(usize::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// Takes one of `signals`, which are blocked, if it waits (sigtimedwait(2)).
pub(crate) fn pending_signal(signals: &SigSet) -> Option<Signal> {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set and the time are valid to read; nothing is written.
    let signal = unsafe { libc::sigtimedwait(signals.as_ref(), std::ptr::null_mut(), &raw const now) };
    Signal::try_from(signal).ok()
}

/// Gives memory that is free back to the kernel: reading the kernel's BTF takes tens of megabytes, once.
pub(crate) fn trim_memory() {
    // SAFETY: no arguments that matter; glibc only.
    unsafe { libc::malloc_trim(0) };
}

/// A descriptor of another process, as one of our own (pidfd_open(2), kernel 5.3; pidfd_getfd(2), kernel 5.6).
pub(crate) fn descriptor_of(pid: u32, fd: RawFd) -> io::Result<OwnedFd> {
    let own = |n: libc::c_long| match RawFd::try_from(n) {
        // SAFETY: a descriptor that the kernel has just made for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    };
    // SAFETY: plain numbers; nothing is written.
    let process = own(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: as above.
    own(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })
}
