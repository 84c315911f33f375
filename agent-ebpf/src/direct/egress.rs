//! `classifier` at the egress of a target's interfaces: notes how far the app has answered, and gives what a clone sends
//! the app's port.

use core::ptr::read_volatile as read;

use aya_ebpf::{
    bindings::BPF_F_INGRESS,
    helpers::{bpf_redirect, bpf_skb_load_bytes},
    macros::classifier,
    programs::TcContext,
};
use byway_abi::direct::{
    Answer, CLONE_PORTS, Conn, MARK_APP, MARK_ASK, MARK_CLONE, MAX_ANSWER, MAX_ANSWER_AT, flag, state,
};

use super::{
    DROP, NEXT, SCRATCH,
    ingress::is_own,
    packet::{FIN, Packet, RST, Way, change_port},
    pass_on, unmark, unset,
};
use crate::maps::{ANSWERS, CONNS};

/// In the packet's control block: it is a clone's, and has its port. Another agent's programs may stand behind these.
const REWRITTEN: u32 = 0xb1a9_1002;

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
        if read(&raw const (*skb).cb[1]) == REWRITTEN {
            return NEXT;
        }
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
                if !is_own(conn) {
                    return NEXT;
                }
                // The server spoke first: `turn` looks who it is.
            }
            state::HELD => {
                let flags = read(&raw const (*conn).flags);
                if packet.len != 0 && (*conn).is_hushed() {
                    return DROP;
                }
                if packet.len != 0 {
                    note(ctx, &packet, conn);
                }
                let ended = flags & flag::ENDED != 0;
                if !is_own(conn) || !ended && packet.flags & (FIN | RST) == 0 {
                    return NEXT;
                }
            }
            state::TAKEN => {}
            state::TAKING => return DROP, // it comes again
            state::CLONE => {
                if !CLONE_PORTS.contains(&(packet.key.local_port as u16)) {
                    return NEXT;
                }
                change_port(ctx, &packet, Way::Out, read(&raw const (*conn).port));
                (*skb).cb[1] = REWRITTEN;
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
        let fresh = packet.end().wrapping_sub(read(&raw const (*conn).app_end));
        if fresh as i32 <= 0 {
            return; // sent again
        }
        let at = packet.seq.wrapping_sub(read(&raw const (*conn).answer));
        if at == 0 {
            begin(ctx, packet);
            unset(conn, flag::ASKED);
        } else if at < MAX_ANSWER_AT {
            go_on(ctx, packet, at);
        }
        (*conn).app_end = packet.end();
        let tail = (&raw mut (*conn).tail).cast::<u64>();
        if fresh >= 8 {
            bpf_skb_load_bytes(skb, packet.payload + packet.len - 8, tail.cast(), 8);
            return;
        }
        let (mut bytes, mut len) = (0_u64, fresh);
        // A move, behind which LLVM does not know any more what the verifier has to be shown: between 1 and 7.
        core::arch::asm!("{0} = {0}", inout(reg) len);
        let len = len & 7;
        let from = packet.payload + packet.len - len;
        if len != 0 && bpf_skb_load_bytes(skb, from, (&raw mut bytes).cast(), len) == 0 {
            // The last bytes of all: what came before moves down.
            *tail = read(tail) >> (len * 8) | bytes << (64 - len * 8);
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

/// Many write a head in pieces, and each leaves as a packet.
#[inline(always)]
unsafe fn go_on(ctx: &TcContext, packet: &Packet, at: u32) {
    const MOST: u64 = MAX_ANSWER as u64 - MAX_ANSWER_AT as u64;
    const { assert!(MAX_ANSWER_AT.is_power_of_two() && MOST <= 0xff) };
    // SAFETY: a value of a map; `at` and `len` together lie in it.
    unsafe {
        let Some(answer) = ANSWERS.get_ptr_mut(packet.key) else { return };
        let is_next = read(&raw const (*answer).seq).wrapping_add(at) == packet.seq
            && read(&raw const (*answer).len) == at;
        let len = u64::from(packet.len);
        let (mut at, mut len) = (u64::from(at), if len > MOST { MOST } else { len });
        // As in `note`.
        core::arch::asm!("{0} = {0}", "{1} = {1}", inout(reg) at, inout(reg) len);
        let (at, len) = (at & (MAX_ANSWER_AT as u64 - 1), len & 0xff);
        if !is_next || len == 0 || len > MOST {
            return;
        }
        let to = (&raw mut (*answer).bytes).cast::<u8>().add(at as usize);
        if bpf_skb_load_bytes(ctx.skb.skb.cast(), packet.payload, to.cast(), len as u32) == 0 {
            (*answer).len = (at + len) as u32;
        }
    }
}
