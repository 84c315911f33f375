//! Connections that go straight from the client to the app until they are keyed, in the order that packets meet the
//! programs:
//!
//! - [`ingress`] and [`egress`]: small, loaded for each target; nearly every packet is nothing to the next one;
//! - [`judge`]: looks through a head, and holds what is keyed or in doubt; [`peek`] and [`scan`] read it, [`join`] finds
//!   the first one of a connection that was open before, and [`tell`] tells the agent;
//! - [`turn`]: what is left to say to the app's socket of a connection that was taken over;
//! - [`control`]: changes a connection on the agent's behalf, so that userspace never overwrites what the others write; and
//!   says whether a namespace has [`netfilter`] in the way.
//!
//! `judge`, `turn` and `control` are loaded once per node, since the verifier takes long for them. The first two stand
//! behind the small ones at each interface, and look at what those have [`marked`](pass_on). A map of programs to jump by
//! would do the same, but the kernel may keep one for ever (since `BPF_MAP_TYPE_PROG_ARRAY` holds itself while it is
//! cleared, and whoever asks for it by its id just then has it held twice).
//! Whatever is not as it should be, the packet goes on to the app.

mod control;
mod egress;
mod ingress;
mod join;
mod judge;
mod netfilter;
mod packet;
mod peek;
mod scan;
mod tell;
mod turn;

use core::ptr::read_volatile as read;

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::map, maps::PerCpuArray, programs::TcContext};
use byway_abi::{
    CLOSED, Steer,
    direct::{BEAT, Conn, Event, MAX_FRAME},
};

use crate::{NEXT, maps::HEARTBEAT};
use packet::Packet;
use scan::Head;

/// To the stack, past whoever follows (`TCX_PASS`).
const PASS: i32 = 0;
/// Dropped (`TCX_DROP`).
const DROP: i32 = 2;

/// Where one packet is worked on: of this processor, and of nobody else before the programs end.
#[repr(C)]
struct Scratch {
    packet: Packet,
    head: Head,
    event: Event,
    frame: [u8; MAX_FRAME],
}

#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// In the packet's control block: the next program is to look at it.
const MARKED: u32 = 0xb1a9_1001;

/// What stands in the control block before is anybody's.
#[inline(always)]
unsafe fn unmark(ctx: &TcContext) {
    // SAFETY: a field of a valid context.
    unsafe { (*ctx.skb.skb).cb[0] = 0 };
}

/// Has the next program look at the packet.
#[inline(always)]
unsafe fn pass_on(ctx: &TcContext, packet: Packet) -> i32 {
    // SAFETY: the caller's context; a value of this processor.
    unsafe {
        if let Some(scratch) = SCRATCH.get_ptr_mut(0) {
            (*scratch).packet = packet;
            (*ctx.skb.skb).cb[0] = MARKED;
        }
    }
    NEXT
}

/// Where the packet is that the program before has passed on.
#[inline(always)]
unsafe fn passed_on(ctx: &TcContext) -> Option<*mut Scratch> {
    // SAFETY: a field of a valid context.
    if unsafe { read(&raw const (*ctx.skb.skb).cb[0]) } != MARKED {
        return None;
    }
    // SAFETY: as above.
    unsafe { unmark(ctx) };
    SCRATCH.get_ptr_mut(0)
}

/// Twice what a new connection is given: whoever is passed by here is left to the app for good, and what is held when the
/// agent hangs still reaches the app within a second.
const MAX_AGE_NS: u64 = 500_000_000;

/// Whether somebody takes what is held; why not.
#[inline(always)]
fn attended() -> Result<(), Steer> {
    // SAFETY: a value of the map, read at once.
    let beat = HEARTBEAT.get(BEAT).map_or(0, |beat| unsafe { read(beat) });
    // SAFETY: no arguments.
    let age = unsafe { bpf_ktime_get_ns() }.saturating_sub(beat & !CLOSED);
    match beat & CLOSED {
        _ if age > MAX_AGE_NS => Err(Steer::Stale),
        0 => Ok(()),
        _ => Err(Steer::Full),
    }
}

/// Changes the state, unless somebody else has changed it meanwhile; whether it was done.
#[inline(always)]
unsafe fn swap(conn: *mut Conn, from: u64, to: u64) -> bool {
    let mut was = from;
    // SAFETY: the state of a value of a map. core has no compare-and-swap on this target.
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({at} + 0, r0, {to})",
            inout("r0") was,
            at = in(reg) &raw mut (*conn).state,
            to = in(reg) to,
        );
    }
    was == from
}

/// Sets bits of [`Conn::flags`]. At once, as in [`unset`]: both ends' packets, the socket and the agent write them, each on
/// a processor of its own.
#[inline(always)]
pub(crate) unsafe fn set(conn: *mut Conn, flags: u32) {
    const { assert!(core::mem::offset_of!(Conn, flags).is_multiple_of(8) && cfg!(target_endian = "little")) };
    // SAFETY: the low half of an aligned word of a value of a map; the high one stays.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({at} + 0) |= {bits}",
            at = in(reg) &raw mut (*conn).flags,
            bits = in(reg) u64::from(flags),
        );
    }
}

/// Clears bits of [`Conn::flags`].
#[inline(always)]
pub(crate) unsafe fn unset(conn: *mut Conn, flags: u32) {
    // SAFETY: as in `set`.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({at} + 0) &= {bits}",
            at = in(reg) &raw mut (*conn).flags,
            bits = in(reg) !u64::from(flags),
        );
    }
}

/// Whether somebody is there for what is held already.
#[inline(always)]
fn is_attended() -> bool {
    !matches!(attended(), Err(Steer::Stale))
}
