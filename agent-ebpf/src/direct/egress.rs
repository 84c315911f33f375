//! `classifier` at the egress of a target's interfaces: notes how far the app has answered, and gives what a clone sends
//! the app's port.

use core::ptr::read_volatile as read;

use aya_ebpf::{
    bindings::BPF_F_INGRESS,
    helpers::{bpf_redirect, bpf_skb_load_bytes},
    macros::classifier,
    programs::TcContext,
};
use byway_abi::direct::{Answer, CLONE_PORTS, Conn, MARK_APP, MARK_ASK, MARK_CLONE, MAX_ANSWER, flag, state};

use super::{
    NEXT, SCRATCH,
    packet::{FIN, Packet, RST, Way, change_port, is_behind},
    pass_on, unmark,
};
use crate::maps::{ANSWERS, CONNS};

#[classifier]
fn byway_egress(ctx: TcContext) -> i32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { look(&ctx) }
}

#[inline(always)]
unsafe fn look(ctx: &TcContext) -> i32 {
    let skb = ctx.skb.skb;
    // SAFETY: fields of a valid context, and values of maps.
    unsafe {
        unmark(ctx);
        let (mark, interface) = (read(&raw const (*skb).mark), read(&raw const (*skb).ifindex));
        if mark == MARK_APP || mark == MARK_CLONE || mark == MARK_ASK {
            // Injected by the agent: it comes in as if it had come from outside.
            return bpf_redirect(interface, BPF_F_INGRESS.into()) as i32;
        }
        let Some(packet) = Packet::read(ctx, Way::Out) else { return NEXT };
        let Some(conn) = CONNS.get_ptr_mut(packet.key) else { return NEXT };
        match read(&raw const (*conn).state) {
            state::DIRECT => {
                if packet.len == 0 || packet.flags & RST != 0 {
                    return NEXT;
                }
                if read(&raw const (*conn).requests) != 0 {
                    note(ctx, &packet, conn);
                    return NEXT;
                }
                // The server spoke first: `turn` looks who it is.
            }
            state::HELD => {
                if packet.len != 0 {
                    note(ctx, &packet, conn);
                }
                let ended = read(&raw const (*conn).flags) & flag::ENDED != 0;
                if !ended && packet.flags & (FIN | RST) == 0 {
                    return NEXT;
                }
            }
            state::TAKEN => {}
            state::CLONE => {
                if !CLONE_PORTS.contains(&(packet.key.local_port as u16)) {
                    return NEXT;
                }
                change_port(ctx, &packet, Way::Out, read(&raw const (*conn).port));
                return NEXT;
            }
            _ => return NEXT,
        }
        pass_on(ctx, packet)
    }
}

/// Keeps how the answer begins and ends; it is read only when somebody has to know whether it is complete.
#[inline(always)]
unsafe fn note(ctx: &TcContext, packet: &Packet, conn: *mut Conn) {
    let skb = ctx.skb.skb.cast();
    // SAFETY: values of maps.
    unsafe {
        if packet.seq == read(&raw const (*conn).answer) {
            begin(ctx, packet);
            (*conn).flags = read(&raw const (*conn).flags) & !flag::ASKED;
        }
        if !is_behind(packet.end(), read(&raw const (*conn).app_end)) {
            return; // sent again
        }
        (*conn).app_end = packet.end();
        let tail = (&raw mut (*conn).tail).cast::<u64>();
        if packet.len >= 8 {
            bpf_skb_load_bytes(skb, packet.payload + packet.len - 8, tail.cast(), 8);
            return;
        }
        let (mut fresh, mut len) = (0_u64, packet.len);
        // A move, behind which LLVM does not know any more what the verifier has to be shown: between 1 and 7.
        core::arch::asm!("{0} = {0}", inout(reg) len);
        let len = len & 7;
        if len != 0 && bpf_skb_load_bytes(skb, packet.payload, (&raw mut fresh).cast(), len) == 0 {
            // The last bytes of all: what came before moves down.
            *tail = read(tail) >> (len * 8) | fresh << (64 - len * 8);
        }
    }
}

#[inline(always)]
unsafe fn begin(ctx: &TcContext, packet: &Packet) {
    // SAFETY: values of maps.
    unsafe {
        let mut answer = ANSWERS.get_ptr_mut(packet.key);
        if answer.is_none() {
            let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return };
            let empty = (&raw const (*scratch).frame).cast::<Answer>(); // whatever is there, `len` tells
            let _ = ANSWERS.insert(packet.key, &*empty, 0);
            answer = ANSWERS.get_ptr_mut(packet.key);
        }
        let Some(answer) = answer else { return };
        (*answer).seq = packet.seq;
        (*answer).len = packet.len;
        // Read back: LLVM knows that it is not 0, and drops the test, which the verifier needs.
        let len = read(&raw const (*answer).len) as usize;
        if len == 0 {
            return;
        }
        let len = if len > MAX_ANSWER { MAX_ANSWER } else { len };
        (*answer).len = len as u32;
        let bytes = (&raw mut (*answer).bytes).cast();
        if bpf_skb_load_bytes(ctx.skb.skb.cast(), packet.payload, bytes, len as u32) != 0 {
            (*answer).len = 0;
        }
    }
}
