//! System calls that no crate wraps.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::sys::signal::{SigSet, Signal};

/// Bytes sent and not acknowledged yet (`SIOCOUTQ`, tcp(7)).
pub(crate) fn outq(socket: impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes one int.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 { Ok(usize::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// What the kernel knows of a connection (`TCP_INFO`, tcp(7)).
pub(crate) fn tcp_info(socket: impl AsFd) -> io::Result<libc::tcp_info> {
    // SAFETY: all zero is a valid value, of numbers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes as many bytes as are said at most, all of which are there.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    if done == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}

/// Takes one of `signals`, which are blocked, if it waits (sigtimedwait(2)).
pub(crate) fn pending_signal(signals: &SigSet) -> Option<Signal> {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set and the time are valid to read; nothing is written.
    let signal = unsafe { libc::sigtimedwait(signals.as_ref(), std::ptr::null_mut(), &raw const now) };
    Signal::try_from(signal).ok()
}

/// Has the calling thread, and those that it starts, run where nobody else wants the processor (setpriority(2): on Linux
/// it is of one thread).
pub(crate) fn give_way() {
    const LEAST: libc::c_int = 19;
    // SAFETY: plain numbers. To give way is always allowed.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, LEAST) };
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

/// A socket that sends frames as they are, in the calling thread's namespace (packet(7)). It receives nothing.
pub(crate) fn packet_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain numbers; the descriptor that comes back is ours alone.
    unsafe {
        match libc::socket(libc::AF_PACKET, kind, 0) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Sends a frame out of an interface, with a mark.
pub(crate) fn send_frame(
    socket: BorrowedFd<'_>,
    frame: &[u8],
    interface: u32,
    protocol: u16,
    mark: u32,
) -> io::Result<()> {
    // SAFETY: all zero is a valid address, and a valid message.
    let (mut to, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_protocol = protocol.to_be();
    to.sll_ifindex = interface.cast_signed();
    let mut part = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
    // Room for one header and four bytes, aligned as a header is.
    let mut control = [0_u64; 4];
    message.msg_name = (&raw mut to).cast();
    message.msg_namelen = size_of_val(&to) as u32;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: the header fits into `control`, and everything outlives the call, which reads only.
    let sent = unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of::<u32>() as u32) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SO_MARK;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<u32>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<u32>().write_unaligned(mark);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, 0)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets an option of TCP (tcp(7)) that no crate knows: `TCP_REPAIR` and its kin.
pub(crate) fn set_tcp<T: Copy>(socket: impl AsFd, option: libc::c_int, value: &[T]) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as are said, all of which are there.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            value.as_ptr().cast(),
            size_of_val(value) as u32,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether sockets may be put into repair mode, in the calling thread's namespace (`TCP_REPAIR`, CAP_NET_ADMIN).
pub(crate) fn may_repair() -> io::Result<()> {
    set_tcp(
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?,
        libc::TCP_REPAIR,
        &[1_i32],
    )
}

/// The same file under one more descriptor, which is not below `lowest`.
pub(crate) fn duplicate_above(file: impl AsFd, lowest: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers; the descriptor that comes back is ours alone.
    match unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: as above.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}
