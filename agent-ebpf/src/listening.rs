//! `tp_btf/inet_sock_set_state` (kernel 5.5, with BTF): keeps count of the listening sockets of the target namespaces, and
//! forgets direct connections whose socket has gone.
//!
//! So that a port whose app is not listening refuses as it does without the agent. The agent seeds the counts by
//! `sock_diag` when it attaches. Rust has no CO-RE: offsets of fields come from the running kernel's BTF, at load.

use core::ptr::read_volatile as read;

use aya_ebpf::{
    Global, bindings::BPF_NOEXIST, helpers::bpf_probe_read_kernel, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::error;
use byway_abi::{
    DialKey, ListenKey, Listeners, MAPPED,
    direct::{flag, state},
};

use crate::{
    add,
    direct::{set, unset},
    maps::{ANSWERS, CONNS, LISTENING, NAMESPACES},
};

#[unsafe(no_mangle)]
static OFF_SK_NET: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_NET_COOKIE: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_INET_SPORT: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_FAMILY: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_PROTOCOL: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_SADDR4: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_SADDR6: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_V6ONLY: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_UID: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static MASK_SK_V6ONLY: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_DADDR4: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_DADDR6: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_SK_DPORT: Global<u64> = Global::new(0);

const TCP_ESTABLISHED: i32 = 1;
const TCP_SYN_SENT: i32 = 2;
const TCP_SYN_RECV: i32 = 3;
const TCP_CLOSE: i32 = 7;
const TCP_LISTEN: i32 = 10;
const AF_INET: u16 = 2;
const IPPROTO_TCP: u16 = 6;

#[btf_tracepoint(function = "inet_sock_set_state")]
fn listening(ctx: BtfTracePointContext) -> i32 {
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    if new == TCP_LISTEN {
        // SAFETY: the first argument is a valid `struct sock`.
        unsafe { record(&ctx, 1) };
    } else if old == TCP_LISTEN && new == TCP_CLOSE {
        // SAFETY: as above.
        unsafe { record(&ctx, -1) };
    } else if old == TCP_SYN_RECV && new == TCP_ESTABLISHED {
        // SAFETY: as above.
        unsafe { follow(&ctx, true) };
    } else if new == TCP_CLOSE && old != TCP_SYN_SENT {
        // One of whom a connect was refused has never stood, and what stands at its address is another's.
        // SAFETY: as above.
        unsafe { follow(&ctx, false) };
    }
    0
}

#[inline(always)]
unsafe fn record(ctx: &BtfTracePointContext, change: i64) {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: offsets are those of the running kernel's BTF, within `struct sock` unless said otherwise.
    unsafe {
        // An MPTCP listener's own socket is not TCP; its TCP subflow comes by here as well.
        if read(sk.add(OFF_SK_PROTOCOL.load() as usize).cast::<u16>()) != IPPROTO_TCP {
            return;
        }
        let net = read(sk.add(OFF_SK_NET.load() as usize).cast::<*const u8>());
        let ns = read(net.add(OFF_NET_COOKIE.load() as usize).cast::<u64>());
        let Some(changes) = NAMESPACES.get_ptr_mut(ns) else { return };
        // skc_num is 0 by now for a socket that was bound to port 0 and closes; inet_sport still stands, but lies
        // beyond `struct sock`, which is all that the verifier knows.
        let sport = bpf_probe_read_kernel(sk.add(OFF_INET_SPORT.load() as usize).cast::<u16>());
        let port = u32::from(u16::from_be(sport.unwrap_or(0)));
        let uid = read(sk.add(OFF_SK_UID.load() as usize).cast::<u32>());
        let mut key = ListenKey { ns, addr: [0, 0, MAPPED, 0], port, pad: 0 };
        if read(sk.add(OFF_SK_FAMILY.load() as usize).cast::<u16>()) == AF_INET {
            key.addr[3] = read(sk.add(OFF_SK_SADDR4.load() as usize).cast::<u32>());
            bump(ctx, &key, change, uid);
        } else {
            let a = sk.add(OFF_SK_SADDR6.load() as usize).cast::<u32>();
            let addr = [read(a), read(a.add(1)), read(a.add(2)), read(a.add(3))];
            let v6only = u32::from(read(sk.add(OFF_SK_V6ONLY.load() as usize))) & MASK_SK_V6ONLY.load();
            if addr == [0; 4] && v6only == 0 {
                bump(ctx, &key, change, uid); // [::] takes IPv4 as well
            }
            key.addr = addr;
            bump(ctx, &key, change, uid);
        }
        add(changes.cast(), 1); // last: who read the counts before knows that they are old
    }
}

/// A direct connection stands as long as its socket does, be it the app's or a clone: no packet is believed that says
/// otherwise.
#[inline(always)]
unsafe fn follow(ctx: &BtfTracePointContext, begins: bool) -> Option<()> {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: as in `record`; values of maps.
    unsafe {
        if read(sk.add(OFF_SK_PROTOCOL.load() as usize).cast::<u16>()) != IPPROTO_TCP {
            return None;
        }
        let net = read(sk.add(OFF_SK_NET.load() as usize).cast::<*const u8>());
        let ns = read(net.add(OFF_NET_COOKIE.load() as usize).cast::<u64>());
        NAMESPACES.get_ptr(ns)?;
        let sport = bpf_probe_read_kernel(sk.add(OFF_INET_SPORT.load() as usize).cast::<u16>());
        let dport = read(sk.add(OFF_SK_DPORT.load() as usize).cast::<u16>());
        let (local_port, remote_port) = (u16::from_be(sport.unwrap_or(0)), u16::from_be(dport));
        let is_v4 = read(sk.add(OFF_SK_FAMILY.load() as usize).cast::<u16>()) == AF_INET;
        let addr = |v4: &Global<u64>, v6: &Global<u64>| {
            if is_v4 {
                [0, 0, MAPPED, read(sk.add(v4.load() as usize).cast::<u32>())]
            } else {
                let a = sk.add(v6.load() as usize).cast::<u32>();
                [read(a), read(a.add(1)), read(a.add(2)), read(a.add(3))]
            }
        };
        let (remote, local) = (addr(&OFF_SK_DADDR4, &OFF_SK_DADDR6), addr(&OFF_SK_SADDR4, &OFF_SK_SADDR6));
        let key =
            DialKey { ns, remote, local, remote_port: remote_port.into(), local_port: local_port.into() };
        let conn = CONNS.get_ptr_mut(key)?;
        if begins {
            set(conn, flag::ALIVE);
            return Some(());
        }
        match read(&raw const (*conn).state) {
            state::TAKEN => {} // the app's socket, which was told that the client has ended
            // ... before the connection is taken over.
            state::HELD if read(&raw const (*conn).flags) & flag::ENDED != 0 => {
                unset(conn, flag::ALIVE);
            }
            state::CLONE => {
                let of = DialKey { local_port: read(&raw const (*conn).port), ..key };
                let conn = CONNS.get_ptr_mut(of)?;
                set(conn, flag::GONE);
            }
            _ => {
                let _ = CONNS.remove(key);
                let _ = ANSWERS.remove(key);
            }
        }
    }
    Some(())
}

#[inline(always)]
fn bump(ctx: &BtfTracePointContext, key: &ListenKey, change: i64, uid: u32) {
    // Workers of one app listen on two CPUs at once: who finds the entry made meanwhile adds to it.
    let fresh = Listeners { count: 1, uid, pad: 0 };
    if change_count(key, change, uid)
        || change < 0
        || LISTENING.insert(key, fresh, BPF_NOEXIST.into()).is_ok()
        || change_count(key, change, uid)
    {
        return;
    }
    error!(ctx, "the map of listening ports is full: port {} is not steered", key.port);
}

/// Whether there is an entry to change.
#[inline(always)]
fn change_count(key: &ListenKey, change: i64, uid: u32) -> bool {
    let Some(listeners) = LISTENING.get_ptr_mut(key) else { return false };
    // SAFETY: a value of the map.
    unsafe {
        // listen() without bind() gets its port only after this hook, so its start was counted for no port.
        if change > 0 || read(&raw const (*listeners).count) > 0 {
            add(&raw mut (*listeners).count, change);
        }
        if change > 0 {
            (*listeners).uid = uid;
        }
    }
    true
}
