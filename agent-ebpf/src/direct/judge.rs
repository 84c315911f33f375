//! The packet at which a head begins, and all packets of connections that are held. Loaded once per node; stands behind
//! [`ingress`](super::ingress).

use core::ptr::{addr_of, read_volatile as read};

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::classifier, programs::TcContext};
use byway_abi::{
    Steer,
    direct::{Conn, Event, MARK_ASK, MAX_PARTS, Reason, flag, opaque, state},
};

use super::{
    DROP, NEXT, Scratch, attended, is_attended,
    join::{is_tentative, join, leave},
    packet::{FIN, Packet, is_behind},
    passed_on,
    peek::read_head,
    scan::Found,
    set, swap,
    tell::{behind, copy_all, emit, snapshot},
    unset,
};
use crate::{
    add,
    maps::{CONNS, STEERED, TGT_COUNTERS},
};

/// So long a packet behind a missing head is dropped, to come again behind it: the head may be lost more than once, and
/// each time its client waits twice as long.
const GAP_NS: u64 = 8_000_000_000;
/// So long a connection is held without a word from the agent.
const HELD_NS: u64 = 8_000_000_000;
/// First byte of a TLS record with a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

#[classifier]
fn byway_judge(ctx: TcContext) -> i32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { look(&ctx) }
}

#[inline(always)]
unsafe fn look(ctx: &TcContext) -> i32 {
    // SAFETY: values of maps; the packet is the one that `ingress` has put there.
    unsafe {
        let Some(scratch) = passed_on(ctx) else { return NEXT };
        let packet = &(*scratch).packet;
        let Some(conn) = CONNS.get_ptr_mut(packet.key) else { return NEXT };
        match read(&raw const (*conn).state) {
            state::HELD => return held(ctx, packet, conn),
            state::OLD => return join(ctx, scratch, packet, conn),
            _ => {}
        }
        if is_tentative(conn) && (packet.seq != read(&raw const (*conn).next) || owes(packet, conn)) {
            return leave(conn);
        }
        let next = read(&raw const (*conn).next);
        if packet.seq == next {
            return judge(ctx, scratch, packet, conn);
        }
        if is_behind(packet.seq, next) {
            return gap(ctx, scratch, conn);
        }
        hold(ctx, packet, conn, Reason::Straddles as u32)
    }
}

/// Whether the app has said nothing to the last request, or the client does not have all of it.
#[inline(always)]
unsafe fn owes(packet: &Packet, conn: *mut Conn) -> bool {
    // SAFETY: a value of a map.
    unsafe {
        read(&raw const (*conn).flags) & flag::ASKED != 0
            || is_behind(read(&raw const (*conn).app_end), packet.ack)
    }
}

/// What lies before it was lost, and a head may be in it. It comes again, and this one too; unless the app has it, which
/// has come by a way that is not looked at, say in fragments.
#[inline(always)]
unsafe fn gap(ctx: &TcContext, scratch: *mut Scratch, conn: *mut Conn) -> i32 {
    // SAFETY: values of maps.
    unsafe {
        let (packet, socket) = (&(*scratch).packet, &raw mut (*scratch).event.socket);
        (*socket).found = 0;
        snapshot(ctx, packet, socket);
        if read(&raw const (*socket).found) == 1
            && is_behind(read(&raw const (*socket).rcv_nxt), read(&raw const (*conn).next))
        {
            return let_go(conn, Steer::Gap);
        }
        let (now, since) = (bpf_ktime_get_ns(), read(&raw const (*conn).at));
        if read(&raw const (*conn).held) == 0 {
            (*conn).held = 1;
            (*conn).at = now;
        } else if now.saturating_sub(since) > GAP_NS {
            return let_go(conn, Steer::Gap);
        }
    }
    DROP
}

#[inline(always)]
unsafe fn judge(ctx: &TcContext, scratch: *mut Scratch, packet: &Packet, conn: *mut Conn) -> i32 {
    // SAFETY: values of maps.
    unsafe {
        let found = read_head(ctx, scratch, packet);
        let head = &raw const (*scratch).head;
        let result = (*head).result;
        let is_first = read(&raw const (*conn).requests) == 0;
        if is_first {
            if found == Found::NotHttp as i32 {
                (*conn).state = state::OPAQUE;
                let is_tls = read(addr_of!((*head).bytes).cast::<u8>()) == TLS_HANDSHAKE;
                count_opaque(conn, if is_tls { opaque::TLS } else { opaque::NOT_HTTP });
                return NEXT;
            }
            (*conn).app_end = packet.ack;
            (*conn).answer = packet.ack;
        }
        if is_tentative(conn) && found != Found::Request as i32 && result.reason != Reason::Key as u32 {
            return leave(conn);
        }
        if found != Found::Request as i32 {
            return hold(ctx, packet, conn, result.reason);
        }
        let total = result.head + result.body;
        if packet.len > total {
            return hold(ctx, packet, conn, Reason::Second as u32);
        }
        let flags = read(&raw const (*conn).flags);
        if !is_first && owes(packet, conn) && flags & flag::PIPELINED == 0 {
            return hold(ctx, packet, conn, Reason::Ahead as u32);
        }
        if flags & flag::HEAD != 0 {
            unset(conn, flag::HEAD);
        }
        set(conn, if result.is_head == 1 { flag::HEAD | flag::ASKED } else { flag::ASKED });
        (*conn).held = 0;
        (*conn).next = packet.seq.wrapping_add(total);
        (*conn).requests += 1;
        (*conn).answer = packet.ack;
        (*conn).acked = packet.ack;
        if let Some(counters) = TGT_COUNTERS.get_ptr_mut(read(&raw const (*conn).slot)) {
            add((&raw mut (*counters).app_requests).cast(), 1);
        }
    }
    NEXT
}

#[inline(always)]
unsafe fn hold(ctx: &TcContext, packet: &Packet, conn: *mut Conn, reason: u32) -> i32 {
    // SAFETY: a value of a map.
    unsafe {
        if let Err(why) = attended() {
            return let_go(conn, why);
        }
        (*conn).reason = reason;
        (*conn).acked = packet.ack;
        (*conn).at = bpf_ktime_get_ns();
        (*conn).held = packet.seq;
        (*conn).state = state::HELD;
        match copy_all(ctx, packet, conn, Event::HOLD) {
            0 => let_go(conn, Steer::Backlog),
            parts => {
                (*conn).held = behind(packet, parts);
                DROP
            }
        }
    }
}

/// Nobody is there to decide: the app's for good.
#[inline(always)]
unsafe fn let_go(conn: *mut Conn, why: Steer) -> i32 {
    // SAFETY: values of maps; a counter is of this processor.
    unsafe {
        if !swap(conn, state::HELD, state::OPAQUE) && !swap(conn, state::DIRECT, state::OPAQUE) {
            return DROP; // the agent has just decided: it comes again
        }
        set(conn, flag::UNREAD);
        if let Some(n) = STEERED.get_ptr_mut(read(&raw const (*conn).slot) * Steer::COUNT + why as u32) {
            *n += 1;
        }
    }
    NEXT
}

#[inline(always)]
pub(super) unsafe fn count_opaque(conn: *mut Conn, why: usize) {
    // SAFETY: values of maps.
    unsafe {
        if let Some(counters) = TGT_COUNTERS.get_ptr_mut(read(&raw const (*conn).slot)) {
            add((&raw mut (*counters).opaque[why]).cast(), 1);
        }
    }
}

#[inline(always)]
unsafe fn held(ctx: &TcContext, packet: &Packet, conn: *mut Conn) -> i32 {
    // SAFETY: a value of a map; a field of the context.
    unsafe {
        let mark = read(&raw const (*ctx.skb.skb).mark);
        if mark == MARK_ASK {
            emit(ctx, packet, conn, Event::SOCKET);
            return DROP;
        }
        let since = read(&raw const (*conn).at);
        if !is_attended() || bpf_ktime_get_ns().saturating_sub(since) > HELD_NS {
            return let_go(conn, Steer::Stale);
        }
        if is_behind(packet.ack, read(&raw const (*conn).acked)) {
            (*conn).acked = packet.ack;
            emit(ctx, packet, conn, Event::SOCKET);
        }
        if packet.len == 0 && packet.flags & FIN == 0 {
            return NEXT;
        }
        // What is sent again may have grown.
        let (until, end) = (read(&raw const (*conn).held), behind(packet, MAX_PARTS));
        if !is_behind(packet.seq, until) && is_behind(end, until) {
            let copied = behind(packet, copy_all(ctx, packet, conn, Event::MORE));
            if is_behind(copied, until) {
                (*conn).held = copied;
            }
            return DROP;
        }
        // The app may not have all that lies before the head.
        if packet.len != 0 && !is_behind(packet.end(), read(&raw const (*conn).next)) { NEXT } else { DROP }
    }
}
