//! A connection that was open before the programs were: where a head begins on it.

use core::ptr::read_volatile as read;

use aya_ebpf::programs::TcContext;
use byway_abi::direct::{Conn, flag, state};

use super::{NEXT, Scratch, packet::Packet, peek::read_head, scan::Found, set, swap, tell::snapshot, unset};
use crate::maps::OLD;

/// `TCP_ESTABLISHED`.
const ESTABLISHED: u32 = 1;

/// A connection that was open before: a head may begin here if the app has read and answered all, and the client has got
/// all of it. If it is one, the app answers it, and the next head begins where its framing says, and not before that.
#[inline(always)]
pub(super) unsafe fn join(ctx: &TcContext, scratch: *mut Scratch, packet: &Packet, conn: *mut Conn) -> i32 {
    // SAFETY: values of maps.
    unsafe {
        let socket = &raw mut (*scratch).event.socket;
        (*socket).found = 0;
        snapshot(ctx, packet, socket);
        let is = |what: *const u32, wanted: u32| read(what) == wanted;
        let is_idle = is(&raw const (*socket).found, 1)
            && is(&raw const (*socket).state, ESTABLISHED)
            && is(&raw const (*socket).rcv_nxt, packet.seq)
            && is(&raw const (*socket).copied_seq, packet.seq)
            && is(&raw const (*socket).snd_nxt, packet.ack)
            && is(&raw const (*socket).write_seq, packet.ack);
        if !is_idle || read_head(ctx, scratch, packet) != Found::Request as i32 {
            return NEXT;
        }
        let result = (*scratch).head.result;
        let total = result.head + result.body;
        if packet.len > total {
            return NEXT;
        }
        let head = if result.is_head == 1 { flag::HEAD } else { 0 };
        unset(conn, !flag::ALIVE);
        set(conn, flag::ALIVE | flag::JOINED | flag::ASKED | head);
        (*conn).held = 0;
        (*conn).next = packet.seq.wrapping_add(total);
        (*conn).requests = 1;
        (*conn).app_end = packet.ack;
        (*conn).answer = packet.ack;
        (*conn).acked = packet.ack;
        // From here on what is missed is counted as it is for all that are followed.
        let _ = OLD.remove(packet.key);
        swap(conn, state::OLD, state::DIRECT);
    }
    NEXT
}

/// Of a connection that was open before one head has been seen, as it seemed.
#[inline(always)]
pub(super) unsafe fn is_tentative(conn: *mut Conn) -> bool {
    // SAFETY: a value of a map.
    unsafe { read(&raw const (*conn).flags) & flag::JOINED != 0 && read(&raw const (*conn).requests) == 1 }
}

/// It was none: nothing is known again.
#[inline(always)]
pub(super) unsafe fn leave(conn: *mut Conn) -> i32 {
    // SAFETY: a value of a map.
    unsafe {
        swap(conn, state::DIRECT, state::OLD);
    }
    NEXT
}
