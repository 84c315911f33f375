//! Raw `bpf(2)` where aya hides the file descriptor, and shared memory of maps. The one unsafe module of the kernel side.

use std::{
    fs, io,
    marker::PhantomData,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    path::PathBuf,
    ptr::NonNull,
};

const BPF_MAP_LOOKUP_ELEM: u32 = 1;
const BPF_MAP_UPDATE_ELEM: u32 = 2;
const BPF_MAP_DELETE_ELEM: u32 = 3;
const BPF_MAP_GET_NEXT_KEY: u32 = 4;
const BPF_PROG_LOAD: u32 = 5;
const BPF_OBJ_PIN: u32 = 6;
const BPF_MAP_FREEZE: u32 = 22;
const BPF_LINK_CREATE: u32 = 28;

/// `union bpf_attr`, zeroed, large enough for every command used here.
type Attr = [u8; 128];

fn put<const N: usize>(attr: &mut Attr, at: usize, bytes: [u8; N]) {
    attr[at..at + N].copy_from_slice(&bytes);
}

fn put_fd(attr: &mut Attr, at: usize, fd: RawFd) {
    put(attr, at, fd.to_ne_bytes());
}

fn put_ptr<T>(attr: &mut Attr, at: usize, ptr: *const T) {
    put(attr, at, (ptr as u64).to_ne_bytes());
}

/// # Safety
/// Every pointer and length in `attr` must be valid for the command.
unsafe fn bpf(command: u32, attr: &mut Attr) -> io::Result<RawFd> {
    // SAFETY: the attribute outlives the call, the rest is the caller's promise.
    match unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), attr.len()) } {
        -1 => Err(io::Error::last_os_error()),
        n => Ok(n as RawFd),
    }
}

/// Attaches a program by a link of our own, whose closing detaches it (`BPF_LINK_CREATE`, kernel 5.7).
pub(crate) fn link_create(
    program: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    attach_type: u32,
) -> io::Result<OwnedFd> {
    let mut attr = [0; 128];
    put_fd(&mut attr, 0, program.as_raw_fd());
    put_fd(&mut attr, 4, target.as_raw_fd());
    put(&mut attr, 8, attach_type.to_ne_bytes());
    // SAFETY: no pointers; the descriptor that comes back is ours alone.
    unsafe { bpf(BPF_LINK_CREATE, &mut attr).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Attaches a program at the ingress or egress of an interface of the calling thread's namespace, before all others
/// there (TCX, kernel 6.6). Closing the link detaches it.
pub(crate) fn tcx_link_create(program: BorrowedFd<'_>, interface: u32, egress: bool) -> io::Result<OwnedFd> {
    const BPF_TCX_INGRESS: u32 = 46;
    const BPF_TCX_EGRESS: u32 = 47;
    const BPF_F_BEFORE: u32 = 1 << 3;
    let mut attr = [0; 128];
    put_fd(&mut attr, 0, program.as_raw_fd());
    put(&mut attr, 4, interface.to_ne_bytes());
    put(&mut attr, 8, if egress { BPF_TCX_EGRESS } else { BPF_TCX_INGRESS }.to_ne_bytes());
    put(&mut attr, 12, BPF_F_BEFORE.to_ne_bytes());
    // SAFETY: no pointers; the descriptor that comes back is ours alone.
    unsafe { bpf(BPF_LINK_CREATE, &mut attr).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Gives a program a path on a bpffs.
pub(crate) fn pin(program: BorrowedFd<'_>, path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut attr = [0; 128];
    put_ptr(&mut attr, 0, path.as_ptr());
    put_fd(&mut attr, 8, program.as_raw_fd());
    // SAFETY: the path outlives the call.
    unsafe { bpf(BPF_OBJ_PIN, &mut attr).map(drop) }
}

/// What `BPF_PROG_LOAD` needs.
pub(crate) struct Program<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: u32,
    pub(crate) attach_type: u32,
    /// As programs of some types have to be allowed to.
    pub(crate) sleeps: bool,
    /// Instructions of eight bytes each.
    pub(crate) instructions: &'a [aya_obj::generated::bpf_insn],
    pub(crate) license: &'a std::ffi::CStr,
}

/// Loads a program; a refusal carries the verifier's log.
pub(crate) fn prog_load(program: &Program<'_>) -> Result<OwnedFd, (io::Error, String)> {
    let mut log: Vec<u8> = Vec::new();
    loop {
        let mut attr = [0; 128];
        put(&mut attr, 0, program.kind.to_ne_bytes());
        put(&mut attr, 4, (program.instructions.len() as u32).to_ne_bytes());
        put_ptr(&mut attr, 8, program.instructions.as_ptr());
        put_ptr(&mut attr, 16, program.license.as_ptr());
        if !log.is_empty() {
            put(&mut attr, 24, 1_u32.to_ne_bytes());
            put(&mut attr, 28, (log.len() as u32).to_ne_bytes());
            put_ptr(&mut attr, 32, log.as_mut_ptr());
        }
        if program.sleeps {
            const BPF_F_SLEEPABLE: u32 = 1 << 4;
            put(&mut attr, 44, BPF_F_SLEEPABLE.to_ne_bytes());
        }
        let name = &program.name.as_bytes()[..program.name.len().min(15)];
        attr[48..48 + name.len()].copy_from_slice(name);
        put(&mut attr, 68, program.attach_type.to_ne_bytes());
        // SAFETY: instructions, licence and log outlive the call, and their lengths are given.
        match unsafe { bpf(BPF_PROG_LOAD, &mut attr) } {
            // SAFETY: the descriptor is ours alone.
            Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            Err(_) if log.is_empty() => log.resize(1 << 20, 0), // once more, to be told why
            Err(e) => return Err((e, String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned())),
        }
    }
}

/// Runs a program of type SYSCALL once, on `argument`, which it may change (`BPF_PROG_TEST_RUN`, kernel 5.14).
pub(crate) fn prog_run<T: Copy>(program: BorrowedFd<'_>, argument: &mut T) -> io::Result<()> {
    const BPF_PROG_TEST_RUN: u32 = 10;
    let mut attr = [0; 128];
    put_fd(&mut attr, 0, program.as_raw_fd());
    put(&mut attr, 40, (size_of::<T>() as u32).to_ne_bytes());
    put_ptr(&mut attr, 48, std::ptr::from_mut(argument));
    // SAFETY: the argument outlives the call, and the kernel writes back as many bytes as it reads.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr).map(drop) }
}

/// Runs a program of packets on one, as if it came in at the loopback interface. `context` is a `struct __sk_buff`, of
/// which the program's changes come back.
#[cfg(test)]
pub(crate) fn run_on_packet(
    program: BorrowedFd<'_>,
    packet: &[u8],
    context: &mut [u8; SK_BUFF],
) -> io::Result<()> {
    const BPF_PROG_TEST_RUN: u32 = 10;
    let mut attr = [0; 128];
    put_fd(&mut attr, 0, program.as_raw_fd());
    put(&mut attr, 8, (packet.len() as u32).to_ne_bytes());
    put_ptr(&mut attr, 16, packet.as_ptr());
    put(&mut attr, 32, 1_u32.to_ne_bytes());
    put(&mut attr, 40, (SK_BUFF as u32).to_ne_bytes());
    put(&mut attr, 44, (SK_BUFF as u32).to_ne_bytes());
    put_ptr(&mut attr, 48, context.as_ptr());
    put_ptr(&mut attr, 56, context.as_mut_ptr());
    // SAFETY: both outlive the call, which reads the packet and writes no more than the context.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr).map(drop) }
}

/// Bytes of `struct __sk_buff` as of kernel 5.18.
#[cfg(test)]
pub(crate) const SK_BUFF: usize = 192;

/// A value that a program has put at the start of a record of a ring buffer, and what follows. `T` is plain `repr(C)` data
/// of `byway-abi`, as for [`RawMap`].
pub(crate) fn plain<T: Copy>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>())?;
    // SAFETY: as many bytes as the value has, any of which make one.
    Some((unsafe { head.as_ptr().cast::<T>().read_unaligned() }, rest))
}

/// A map whose keys and values are plain `repr(C)` data of `byway-abi`.
pub(crate) struct RawMap<K, V> {
    fd: OwnedFd,
    types: PhantomData<fn(K, V)>,
}

impl<K: Copy, V: Copy> RawMap<K, V> {
    /// Takes over `fd`; the sizes are checked against what the kernel says of the map.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
        let size = |field: &str| -> Option<usize> {
            info.lines().find_map(|l| l.strip_prefix(field)?.trim().parse().ok())
        };
        if size("key_size:") == Some(size_of::<K>()) && size("value_size:") == Some(size_of::<V>()) {
            Ok(Self { fd, types: PhantomData })
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the map has another layout"))
        }
    }

    pub(crate) fn lookup(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = std::mem::MaybeUninit::<V>::uninit();
        // SAFETY: the kernel writes a whole value of the size checked in `new`, or nothing and fails.
        unsafe {
            match self.element(BPF_MAP_LOOKUP_ELEM, key, value.as_mut_ptr(), 0) {
                Ok(_) => Ok(Some(value.assume_init())),
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
                Err(e) => Err(e),
            }
        }
    }

    pub(crate) fn update(&self, key: &K, value: &V) -> io::Result<()> {
        // SAFETY: the kernel only reads the value.
        unsafe { self.element(BPF_MAP_UPDATE_ELEM, key, std::ptr::from_ref(value).cast_mut(), 0).map(drop) }
    }

    /// Adds an entry; fails with `AlreadyExists` where there is one.
    pub(crate) fn insert(&self, key: &K, value: &V) -> io::Result<()> {
        const BPF_NOEXIST: u64 = 1;
        let value = std::ptr::from_ref(value).cast_mut();
        // SAFETY: the kernel only reads the value.
        unsafe { self.element(BPF_MAP_UPDATE_ELEM, key, value, BPF_NOEXIST).map(drop) }
    }

    /// Removes an entry; one that is not there is no error.
    pub(crate) fn delete(&self, key: &K) -> io::Result<()> {
        // SAFETY: no value is used.
        match unsafe { self.element(BPF_MAP_DELETE_ELEM, key, std::ptr::null_mut(), 0) } {
            Err(e) if e.raw_os_error() != Some(libc::ENOENT) => Err(e),
            _ => Ok(()),
        }
    }

    /// All keys, as far as they do not change meanwhile.
    pub(crate) fn keys(&self) -> io::Result<Vec<K>> {
        let mut keys = Vec::new();
        loop {
            let mut next = std::mem::MaybeUninit::<K>::uninit();
            let mut attr = [0; 128];
            put_fd(&mut attr, 0, self.fd.as_raw_fd());
            put_ptr(&mut attr, 8, keys.last().map_or(std::ptr::null(), std::ptr::from_ref));
            put_ptr(&mut attr, 16, next.as_mut_ptr());
            // SAFETY: the kernel writes a whole key of the size checked in `new`, or fails.
            match unsafe { bpf(BPF_MAP_GET_NEXT_KEY, &mut attr) } {
                // SAFETY: written just now.
                Ok(_) => keys.push(unsafe { next.assume_init() }),
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(keys),
                Err(e) => return Err(e),
            }
        }
    }

    /// # Safety
    /// `value` must fit the command.
    unsafe fn element(&self, command: u32, key: &K, value: *mut V, flags: u64) -> io::Result<RawFd> {
        let mut attr = [0; 128];
        put_fd(&mut attr, 0, self.fd.as_raw_fd());
        put_ptr(&mut attr, 8, std::ptr::from_ref(key));
        put_ptr(&mut attr, 16, value);
        put(&mut attr, 24, flags.to_ne_bytes());
        // SAFETY: the key is of the size checked in `new`; the value is the caller's promise.
        unsafe { bpf(command, &mut attr) }
    }
}

impl<K, V> AsFd for RawMap<K, V> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An array map of one `u64` per CPU and index.
pub(crate) struct PerCpuCounters {
    map: RawMap<u32, u64>,
    zeros: Vec<u64>,
}

impl PerCpuCounters {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
        Ok(Self { map: RawMap::new(fd)?, zeros: vec![0; cpus] })
    }

    /// The sum over all CPUs.
    pub(crate) fn sum(&self, index: u32) -> io::Result<u64> {
        let mut values = self.zeros.clone();
        // SAFETY: the kernel writes one value of eight bytes for each possible CPU, and `values` has as many.
        unsafe { self.map.element(BPF_MAP_LOOKUP_ELEM, &index, values.as_mut_ptr(), 0)? };
        Ok(values.iter().sum())
    }

    /// Sets the counters of all CPUs to 0.
    pub(crate) fn clear(&self, index: u32) -> io::Result<()> {
        let zeros = self.zeros.as_ptr().cast_mut();
        // SAFETY: the kernel only reads one value of eight bytes for each possible CPU, and `zeros` has as many.
        unsafe { self.map.element(BPF_MAP_UPDATE_ELEM, &index, zeros, 0).map(drop) }
    }
}

/// Writes the only value of a `.rodata` map and freezes it, so that the verifier may rely on it (kernel 5.2).
pub(crate) fn freeze_rodata(map: BorrowedFd<'_>, data: &[u8]) -> io::Result<()> {
    let key = 0_u32;
    let mut attr = [0; 128];
    put_fd(&mut attr, 0, map.as_raw_fd());
    put_ptr(&mut attr, 8, &raw const key);
    put_ptr(&mut attr, 16, data.as_ptr());
    // SAFETY: the caller made the map of the size of `data`.
    unsafe { bpf(BPF_MAP_UPDATE_ELEM, &mut attr)? };
    let mut attr = [0; 128];
    put_fd(&mut attr, 0, map.as_raw_fd());
    // SAFETY: no pointers.
    unsafe { bpf(BPF_MAP_FREEZE, &mut attr).map(drop) }
}

/// The values of an array map made with `BPF_F_MMAPABLE` (kernel 5.5), as memory shared with the kernel.
///
/// `T` must be made of `u64` only; they are accessed as [`std::sync::atomic::AtomicU64`].
pub(crate) struct Shared<T> {
    base: NonNull<T>,
    len: usize,
}

// SAFETY: the memory is mapped for the life of the value and accessed through atomics only.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Maps the first `len` values.
    pub(crate) fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let bytes = len * size_of::<T>();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(base.cast()).map(|base| Self { base, len }).ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// The words of value `index`.
    ///
    /// # Panics
    /// When `index` is out of bounds.
    pub(crate) fn words(&self, index: usize) -> &[std::sync::atomic::AtomicU64] {
        assert!(index < self.len);
        // SAFETY: in bounds, aligned to a page, and never accessed but atomically.
        unsafe {
            std::slice::from_raw_parts(
                self.base.add(index).cast::<std::sync::atomic::AtomicU64>().as_ptr().cast_const(),
                size_of::<T>() / 8,
            )
        }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length; no reference outlives the value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len * size_of::<T>()) };
    }
}

/// A bpffs of our own that is mounted nowhere: aya takes over a map of another process only by a path.
/// It vanishes with the descriptor, and all pins in it (`fsopen(2)`, kernel 5.2).
pub(crate) struct PrivateBpffs(OwnedFd);

impl PrivateBpffs {
    pub(crate) fn new() -> io::Result<Self> {
        const FSCONFIG_CMD_CREATE: u32 = 6;
        const CLOEXEC: u32 = 1;
        let check = |n: i64| if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as RawFd) };
        // SAFETY: the arguments are constants; the descriptors that come back are ours alone.
        unsafe {
            let fs = OwnedFd::from_raw_fd(check(libc::syscall(libc::SYS_fsopen, c"bpf".as_ptr(), CLOEXEC))?);
            let none = std::ptr::null::<u8>();
            check(libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), FSCONFIG_CMD_CREATE, none, none, 0))?;
            let mount = check(libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), CLOEXEC, 0))?;
            Ok(Self(OwnedFd::from_raw_fd(mount)))
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds, as `bpf_ktime_get_ns` in the programs.
pub(crate) fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place to write to; the clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Cookie of the namespace of a socket (`SO_NETNS_COOKIE`, kernel 5.14).
pub(crate) fn netns_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut cookie = 0_u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the value and its length are valid places to write to.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut len,
        )
    };
    if done == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}
