//! `classifier` at the ingress of a target's interfaces (TCX, kernel 6.6). Nearly every packet of a followed connection
//! is an acknowledgement or part of a body, and goes on at once.

use core::ptr::read_volatile as read;

use aya_ebpf::{
    Global,
    helpers::{bpf_ktime_get_ns, bpf_skb_load_bytes},
    macros::classifier,
    programs::TcContext,
};
use byway_abi::{
    DIRECT, DialKey, PortKey,
    direct::{Conn, MARK_APP, MARK_CLONE, flag, state},
};

use super::{
    DROP, NEXT, PASS, attended, is_attended,
    packet::{ACK, Packet, SYN, Way, change_port, is_behind},
    pass_on, set, swap, unmark,
};
use crate::maps::{CONNS, ORIGINS, PORTS};

/// Slot of the target.
#[unsafe(no_mangle)]
static OWN_SLOT: Global<u32> = Global::new(0);
/// The agent that these programs are of, see [`Conn::owner`].
#[unsafe(no_mangle)]
pub(super) static OWNER: Global<u32> = Global::new(0);

#[classifier]
fn byway_ingress(ctx: TcContext) -> i32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { look(&ctx) }
}

#[inline(always)]
unsafe fn look(ctx: &TcContext) -> i32 {
    let skb = ctx.skb.skb;
    // SAFETY: fields of a valid context, and values of maps, which nobody frees before the program ends.
    unsafe {
        unmark(ctx);
        let mark = read(&raw const (*skb).mark);
        if mark == MARK_APP {
            (*skb).mark = 0;
            return PASS; // decided already
        }
        if mark == MARK_CLONE {
            (*skb).mark = 0;
        }
        let Some(packet) = Packet::read(ctx, Way::In) else { return NEXT };
        let conn = CONNS.get_ptr_mut(packet.key);
        if packet.flags & (SYN | ACK) == SYN {
            return open(ctx, &packet, conn);
        }
        let Some(conn) = conn else { return NEXT };
        match read(&raw const (*conn).state) {
            state::DIRECT => {
                if packet.len == 0 || !is_behind(packet.end(), read(&raw const (*conn).next)) {
                    return NEXT;
                }
                if !is_own(conn) && !adopt(&packet, conn) {
                    return NEXT;
                }
            }
            state::OLD if packet.len != 0 && is_own(conn) && is_direct(&packet) => {}
            state::TAKEN => return to_clone(ctx, &packet, conn),
            state::TAKING if is_own(conn) => return being_taken(conn),
            state::HELD if is_own(conn) => {}
            _ => return NEXT,
        }
        pass_on(ctx, packet)
    }
}

/// While one agent follows another they share what they know of connections, and the programs of both look at packets,
/// those of the newer one first.
#[inline(always)]
pub(super) unsafe fn is_own(conn: *mut Conn) -> bool {
    // SAFETY: a value of a map.
    unsafe { read(&raw const (*conn).owner) == OWNER.load() }
}

/// Once this agent has connections to the port go straight it knows the keys for it.
#[inline(always)]
unsafe fn adopt(packet: &Packet, conn: *mut Conn) -> bool {
    // SAFETY: a value of a map.
    unsafe {
        if !is_direct(packet) {
            return false;
        }
        (*conn).slot = OWN_SLOT.load();
        (*conn).owner = OWNER.load();
    }
    true
}

#[inline(always)]
unsafe fn is_direct(packet: &Packet) -> bool {
    let port = PortKey { ns: packet.key.ns, port: packet.key.local_port, pad: 0 };
    // SAFETY: a value of a map, read at once.
    unsafe { PORTS.get(port).is_some_and(|slot| read(slot) & DIRECT != 0) }
}

/// A connection begins. What is not followed from here on is the steering program's, which hands it to the agent.
#[inline(always)]
unsafe fn open(ctx: &TcContext, packet: &Packet, known: Option<*mut Conn>) -> i32 {
    // SAFETY: as above.
    unsafe {
        if let Some(conn) = known {
            let flags = read(&raw const (*conn).flags);
            match read(&raw const (*conn).state) {
                state::TAKEN if flags & flag::GONE == 0 => return to_clone(ctx, packet, conn),
                state::TAKEN => {
                    let clone = DialKey { local_port: read(&raw const (*conn).port), ..packet.key };
                    let _ = CONNS.remove(clone);
                }
                _ if flags & flag::ALIVE != 0 => return NEXT, // the app's socket answers
                // The other agent follows it, from this SYN on.
                _ if !is_own(conn) && read(&raw const (*conn).next) == packet.seq.wrapping_add(1) => {
                    return NEXT;
                }
                _ => {}
            }
            let _ = CONNS.remove(packet.key);
        }
        // Data with a SYN, and options that a clone would not have.
        if !is_direct(packet) || packet.len != 0 || has_odd_options(ctx, packet) {
            return NEXT;
        }
        if ORIGINS.get(packet.key.remote).is_some() || attended().is_err() {
            return NEXT;
        }
        let conn = Conn {
            state: state::DIRECT,
            at: bpf_ktime_get_ns(),
            slot: OWN_SLOT.load(),
            next: packet.seq.wrapping_add(1),
            owner: OWNER.load(),
            ..Conn::NOTHING
        };
        let _ = CONNS.insert(packet.key, conn, 0);
    }
    NEXT
}

/// Options of a SYN other than those of every connection: MSS, window scale, SACK, timestamps. The others are Fast Open,
/// MPTCP, MD5 and AO.
#[inline(always)]
unsafe fn has_odd_options(ctx: &TcContext, packet: &Packet) -> bool {
    const USUAL: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8;
    let mut at = packet.tcp + 20;
    for _ in 0..20 {
        if at >= packet.payload {
            return false;
        }
        let mut option = [0_u8; 2];
        // SAFETY: two bytes to write to.
        if unsafe { bpf_skb_load_bytes(ctx.skb.skb.cast(), at, option.as_mut_ptr().cast(), 2) } != 0 {
            return true;
        }
        let kind = u32::from(option[0]);
        if kind == 0 {
            return false;
        }
        if kind > 8 || USUAL >> (kind & 31) & 1 == 0 {
            return true;
        }
        at += if kind == 1 { 1 } else { u32::from(option[1]).max(2) };
    }
    true
}

/// If the agent died before the app knew of anything, or was stopped for so long, the connection is the app's again.
#[inline(always)]
unsafe fn being_taken(conn: *mut Conn) -> i32 {
    // SAFETY: a value of a map.
    unsafe {
        if is_attended() || !swap(conn, state::TAKING, state::OPAQUE) {
            return DROP;
        }
        set(conn, flag::UNREAD);
    }
    NEXT
}

#[inline(always)]
unsafe fn to_clone(ctx: &TcContext, packet: &Packet, conn: *mut Conn) -> i32 {
    // SAFETY: as above.
    unsafe {
        let flags = read(&raw const (*conn).flags);
        if flags & flag::READY == 0 {
            if !is_own(conn) {
                return NEXT; // the other agent's programs know, or it has died
            }
            // The agent is about to let the clone go on. If it died, the app has been told that the client has ended, and
            // the connection is nobody's any more.
            if is_attended() {
                return DROP;
            }
        }
        change_port(ctx, packet, Way::In, read(&raw const (*conn).port));
    }
    NEXT
}
