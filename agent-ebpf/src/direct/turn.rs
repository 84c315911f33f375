//! What leaves the app's socket of a connection that is held or was taken over, and whoever speaks before the client.
//! Loaded once per node; stands behind [`egress`](super::egress).
//!
//! The app of a connection that was taken over has been told that the client has ended. What it says to that ends with
//! its own FIN, which is answered here in the client's name; the client hears nothing of it.

use core::ptr::read_volatile as read;

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_INGRESS},
    helpers::{bpf_ktime_get_ns, bpf_redirect, bpf_skb_load_bytes, bpf_skb_store_bytes},
    macros::classifier,
    programs::TcContext,
};
use byway_abi::direct::{Conn, Event, MARK_APP, flag, opaque, state};

use super::{
    DROP, NEXT, attended,
    judge::count_opaque,
    packet::{ACK, FIN, Packet, RST},
    passed_on, set, swap,
    tell::emit,
};
use crate::maps::CONNS;

#[classifier]
fn byway_turn(ctx: TcContext) -> i32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { look(&ctx) }
}

#[inline(always)]
unsafe fn look(ctx: &TcContext) -> i32 {
    // SAFETY: values of maps; the packet is the one that `egress` has put there.
    unsafe {
        let Some(scratch) = passed_on(ctx) else { return NEXT };
        let packet = (*scratch).packet;
        let Some(conn) = CONNS.get_ptr_mut(packet.key) else { return NEXT };
        match read(&raw const (*conn).state) {
            state::DIRECT => spoke_first(ctx, &packet, conn),
            state::HELD => held(ctx, &packet, conn),
            state::TAKEN => end_with(ctx, &packet),
            _ => NEXT,
        }
    }
}

/// A server of HTTP/2 is hushed for less than the 200 ms after which it speaks again: a client sends its preface without
/// waiting for the server's, and with that the connection can be taken over. Of any other nothing that follows is known to
/// be a request.
#[inline(always)]
unsafe fn spoke_first(ctx: &TcContext, packet: &Packet, conn: *mut Conn) -> i32 {
    const HUSH_NS: u64 = 150_000_000;
    // SAFETY: a value of a map.
    unsafe {
        let flags = read(&raw const (*conn).flags);
        let is_http2 = flags & flag::HUSHED != 0 || begins_http2(ctx, packet);
        let now = bpf_ktime_get_ns();
        if is_http2 && attended().is_ok() {
            if flags & flag::HUSHED == 0 {
                set(conn, flag::HUSHED);
                (*conn).at = now;
                emit(ctx, packet, conn, Event::HTTP2);
            }
            if now.saturating_sub(read(&raw const (*conn).at)) < HUSH_NS {
                return DROP;
            }
        }
        if !swap(conn, state::DIRECT, state::OPAQUE) {
            return DROP; // it comes again, and to whom it belongs by then
        }
        count_opaque(conn, opaque::SERVER_SPOKE_FIRST);
        if is_http2 {
            set(conn, flag::UNREAD);
        }
    }
    NEXT
}

/// Whether it begins with a SETTINGS frame of the connection (RFC 9113, 3.4): length, type 4, stream 0.
#[inline(always)]
unsafe fn begins_http2(ctx: &TcContext, packet: &Packet) -> bool {
    let mut frame = [0_u8; 9];
    // SAFETY: nine bytes to write to.
    let is_read =
        unsafe { bpf_skb_load_bytes(ctx.skb.skb.cast(), packet.payload, frame.as_mut_ptr().cast(), 9) } == 0;
    is_read && frame[0] == 0 && frame[3] == 4 && frame[5..9] == [0; 4]
}

#[inline(always)]
unsafe fn held(ctx: &TcContext, packet: &Packet, conn: *mut Conn) -> i32 {
    // SAFETY: a value of a map.
    unsafe {
        let flags = read(&raw const (*conn).flags);
        if flags & flag::ENDED != 0 {
            // Its socket is told by what it says, see `Order::END_FIRST`.
            if flags & flag::SAID == 0 {
                set(conn, flag::SAID);
                emit(ctx, packet, conn, Event::SOCKET);
            }
            return end_with(ctx, packet);
        }
        if !swap(conn, state::HELD, state::OPAQUE) {
            return DROP; // as above
        }
        emit(ctx, packet, conn, Event::APP_ENDED);
    }
    NEXT
}

/// Drops what the app says, and turns its FIN round, as the acknowledgement that it waits for.
#[inline(always)]
unsafe fn end_with(ctx: &TcContext, packet: &Packet) -> i32 {
    if packet.flags & (FIN | RST) != FIN {
        return DROP;
    }
    let skb: *mut __sk_buff = ctx.skb.skb;
    let store = |at: u32, bytes: &[u8]| {
        // SAFETY: the helper checks the offset, and reads `bytes` only.
        unsafe { bpf_skb_store_bytes(skb.cast(), at, bytes.as_ptr().cast(), bytes.len() as u32, 0) }
    };
    // The checksum is not filled in yet on this way out, and of what it is made of only the sum of both ends stands in the
    // packet, which stays as it is.
    let seq = packet.seq.wrapping_add(packet.len).wrapping_add(1);
    let words = [packet.ack.to_be(), seq.to_be()];
    let ports = [(packet.key.remote_port as u16).to_be(), (packet.key.local_port as u16).to_be()];
    // SAFETY: plain numbers, seen as bytes.
    unsafe {
        if packet.ip == 14 {
            let mut ends = [0_u8; 12];
            if bpf_skb_load_bytes(skb.cast(), 0, ends.as_mut_ptr().cast(), 12) != 0 {
                return DROP;
            }
            store(0, &[ends[6], ends[7], ends[8], ends[9], ends[10], ends[11]]);
            store(6, &[ends[0], ends[1], ends[2], ends[3], ends[4], ends[5]]);
        }
        let (remote, local) = (&packet.key.remote, &packet.key.local);
        if packet.is_v4 == 1 {
            store(packet.ip + 12, as_bytes::<_, 4>(&remote[3]));
            store(packet.ip + 16, as_bytes::<_, 4>(&local[3]));
        } else {
            store(packet.ip + 8, as_bytes::<_, 16>(remote));
            store(packet.ip + 24, as_bytes::<_, 16>(local));
        }
        store(packet.tcp, as_bytes::<_, 4>(&ports));
        store(packet.tcp + 4, as_bytes::<_, 8>(&words));
        store(packet.tcp + 13, &[ACK as u8]);
        if packet.payload - packet.tcp == 32 {
            // Timestamps alone: NOP, NOP, kind and length, then the two.
            let mut stamps = [0_u32; 2];
            if bpf_skb_load_bytes(skb.cast(), packet.tcp + 24, stamps.as_mut_ptr().cast(), 8) == 0 {
                store(packet.tcp + 24, as_bytes::<_, 8>(&[stamps[1], stamps[0]]));
            }
        }
        (*skb).mark = MARK_APP;
        bpf_redirect(read(&raw const (*skb).ifindex), BPF_F_INGRESS.into()) as i32
    }
}

#[inline(always)]
unsafe fn as_bytes<T, const N: usize>(value: &T) -> &[u8; N] {
    const { assert!(size_of::<T>() == N) };
    // SAFETY: the caller gives plain numbers without padding.
    unsafe { &*core::ptr::from_ref(value).cast() }
}
