//! System calls that no crate wraps.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
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
