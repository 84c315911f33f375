//! `sk_lookup` (kernel 5.9): hands a new connection for a steered port to the agent's listener.
//!
//! Loaded once per target, since `sk_lookup` cannot ask for the cookie of its namespace. Whenever anything is not
//! as it should be, the connection is passed on to the app as if the program were not there.

use core::ptr::read_volatile as read;

use aya_ebpf::{
    Global,
    bindings::{
        BPF_SK_LOOKUP_F_NO_REUSEPORT, BPF_SK_LOOKUP_F_REPLACE, bpf_sk_lookup, bpf_sock,
        sk_action::{SK_DROP, SK_PASS},
    },
    helpers::{bpf_ktime_get_ns, bpf_map_lookup_elem, bpf_sk_assign, bpf_sk_release, bpf_skc_to_tcp_sock},
    macros::sk_lookup,
    programs::SkLookupContext,
};
use aya_log_ebpf::warn;
use byway_abi::{Addr, CLOSED, DIRECT, DialKey, ListenKey, MAPPED, MAX_WORKERS, PortKey, Steer};

use crate::{
    maps::{CONNS, DIALS, HEARTBEAT, LISTENERS, LISTENING, PORTS, STEERED, TURNS},
    target::NS,
};

// More constants of the target. They lie in frozen .rodata, so the verifier knows them and prunes dead branches.
#[unsafe(no_mangle)]
static SLOT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static OWN_PORT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static WORKERS: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
static MAX_AGE_NS: Global<u64> = Global::new(250_000_000);
#[unsafe(no_mangle)]
static MAX_BACKLOG: Global<u32> = Global::new(32);
#[unsafe(no_mangle)]
static OFF_ACK_BACKLOG: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_QLEN: Global<u64> = Global::new(0);

const AF_INET: u32 = 2;
const IPPROTO_TCP: u32 = 6;

#[sk_lookup]
fn steer(ctx: SkLookupContext) -> u32 {
    // SAFETY: the kernel hands a valid context, and it is read only through volatile loads in its bounds.
    let Some(what) = (unsafe { decide(&ctx) }) else { return SK_PASS };
    count(what);
    match what {
        Steer::OwnPort => SK_DROP,
        _ => SK_PASS,
    }
}

/// `None`: not for a steered port.
#[inline(always)]
unsafe fn decide(ctx: &SkLookupContext) -> Option<Steer> {
    let lookup = ctx.lookup;
    // SAFETY: as above; every field lies in the context.
    unsafe {
        if read(&raw const (*lookup).protocol) != IPPROTO_TCP {
            return None;
        }
        let local_port = read(&raw const (*lookup).local_port);
        if local_port == OWN_PORT.load() {
            return Some(Steer::OwnPort);
        }
        let ns = NS.load();
        let is_direct = read(PORTS.get(PortKey { ns, port: local_port, pad: 0 })?) & DIRECT != 0;
        let (remote, local, any) = addresses(lookup);
        let remote_port = u32::from(u16::from_be(read(&raw const (*lookup).remote_port)));
        let key = DialKey { ns, remote, local, remote_port, local_port };
        // What could not be followed from its SYN on is the agent's, as if there were nothing but this program.
        if is_direct && CONNS.get(key).is_some() {
            return Some(Steer::Direct);
        }
        if DIALS.get(key).is_some() {
            return Some(Steer::Dial);
        }
        if !listening(ns, local, local_port) && !listening(ns, any, local_port) {
            return Some(Steer::NotListening);
        }
        let worker = turn();
        match HEARTBEAT.get(worker).map(|beat| read(beat)) {
            Some(beat) if beat & CLOSED != 0 => return Some(Steer::Full),
            Some(beat) if bpf_ktime_get_ns().saturating_sub(beat) <= MAX_AGE_NS.load() => {}
            _ => return Some(Steer::Stale),
        }
        Some(assign(ctx, SLOT.load() * MAX_WORKERS + worker))
    }
}

/// Remote and local address, and the wildcard of their family.
///
/// Two traps of the verifier: loads are volatile and word by word, else LLVM merges them into loads of eight bytes,
/// which it refuses; and all are done before the branch on the family, else LLVM sinks the loads of both arms into
/// one at context + register ("dereference of modified ctx ptr").
#[inline(always)]
unsafe fn addresses(lookup: *const bpf_sk_lookup) -> (Addr, Addr, Addr) {
    // SAFETY: fields of a valid context.
    unsafe {
        let (r4, l4) = (read(&raw const (*lookup).remote_ip4), read(&raw const (*lookup).local_ip4));
        let r = (&raw const (*lookup).remote_ip6).cast::<u32>();
        let l = (&raw const (*lookup).local_ip6).cast::<u32>();
        let r6 = [read(r), read(r.add(1)), read(r.add(2)), read(r.add(3))];
        let l6 = [read(l), read(l.add(1)), read(l.add(2)), read(l.add(3))];
        if read(&raw const (*lookup).family) == AF_INET {
            ([0, 0, MAPPED, r4], [0, 0, MAPPED, l4], [0, 0, MAPPED, 0])
        } else {
            (r6, l6, [0; 4])
        }
    }
}

#[inline(always)]
fn listening(ns: u64, addr: Addr, port: u32) -> bool {
    // SAFETY: the value is read at once; a count that changes meanwhile is as good as one that changed before.
    matches!(unsafe { LISTENING.get(ListenKey { ns, addr, port, pad: 0 }) }, Some(l) if l.count > 0)
}

/// The worker whose turn it is. Two CPUs may draw the same number: it only has to be fair.
#[inline(always)]
fn turn() -> u32 {
    let Some(turn) = TURNS.get_ptr_mut(SLOT.load()) else { return 0 };
    // SAFETY: the pointer is into a value of the map.
    let now = unsafe {
        *turn = (*turn).wrapping_add(1);
        *turn
    };
    now.checked_rem(WORKERS.load()).unwrap_or(0) // no panic: the program could not be loaded with one
}

#[inline(always)]
unsafe fn assign(ctx: &SkLookupContext, index: u32) -> Steer {
    // aya's redirect_sk_lookup hides the socket, whose backlog is needed: the raw helpers give it.
    // SAFETY: the socket of the map is referenced until bpf_sk_release, which every way out calls.
    unsafe {
        let listeners = (&raw const LISTENERS).cast_mut().cast();
        let sk: *mut bpf_sock = bpf_map_lookup_elem(listeners, (&raw const index).cast()).cast();
        if sk.is_null() {
            return Steer::NoListener;
        }
        let tcp = bpf_skc_to_tcp_sock(sk.cast()).cast::<u8>();
        // A burst of SYNs is looked up before the first of them is complete, so half-open handshakes count too.
        let full = tcp.is_null() || {
            let complete = read(tcp.add(OFF_ACK_BACKLOG.load() as usize).cast::<u32>());
            let half_open = read(tcp.add(OFF_QLEN.load() as usize).cast::<u32>());
            complete.wrapping_add(half_open) >= MAX_BACKLOG.load()
        };
        if full {
            bpf_sk_release(sk.cast());
            return Steer::Backlog;
        }
        // The workers' listeners share one address: without NO_REUSEPORT the kernel would choose again among them.
        let flags = u64::from(BPF_SK_LOOKUP_F_REPLACE | BPF_SK_LOOKUP_F_NO_REUSEPORT);
        let refused = bpf_sk_assign(ctx.lookup.cast(), sk.cast(), flags);
        bpf_sk_release(sk.cast());
        if refused == 0 {
            return Steer::Steered;
        }
        warn!(ctx, "bpf_sk_assign: {}", refused);
        Steer::AssignFailed
    }
}

#[inline(always)]
fn count(what: Steer) {
    if let Some(n) = STEERED.get_ptr_mut(SLOT.load() * Steer::COUNT + what as u32) {
        // SAFETY: a value of this CPU.
        unsafe { *n += 1 };
    }
}
