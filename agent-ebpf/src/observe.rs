//! `classifier` at the ingress of a target's interfaces (TCX, kernel 6.6; else clsact): copies what comes on
//! connections that were open before the route, and so bypass the agent, into a ring buffer. And at their egress, what
//! the app answers, where idle ones are to be closed.
//!
//! They only watch. Whatever happens they let the packet go on to the filters of others and to its destination; a
//! packet for which there is no room is counted and not copied. Attached only while a target has such connections.

use core::ptr::{addr_of_mut, read_volatile as read};

use aya_ebpf::{helpers::bpf_skb_load_bytes, macros::classifier, programs::TcContext};
use byway_abi::{MAX_COPY, Packet};

use crate::{
    NEXT, add,
    maps::{OLD, PACKET, PACKETS, TGT_COUNTERS},
    segment::Segment,
};

#[classifier]
fn byway_observe(ctx: TcContext) -> i32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { look(&ctx, false) };
    NEXT
}

#[classifier]
fn byway_answers(ctx: TcContext) -> i32 {
    // SAFETY: as above.
    unsafe { look(&ctx, true) };
    NEXT
}

/// `None`: nothing to copy.
#[inline(always)]
unsafe fn look(ctx: &TcContext, is_answer: bool) -> Option<()> {
    // SAFETY: a valid context.
    let Segment { key, seq, start, end, .. } = unsafe { Segment::read(ctx, is_answer)? };
    // SAFETY: the value is read at once.
    let slot = unsafe { *OLD.get(&key)? };
    if end <= start {
        return None;
    }
    // SAFETY: a value of this CPU, which nobody else uses before the program ends.
    unsafe {
        let packet = PACKET.get_ptr_mut(0)?;
        (*packet).key = key;
        (*packet).is_answer = u32::from(is_answer);
        (*packet).seq = seq;
        (*packet).len = end - start;
        // LLVM knows that this is not 0 and drops the test, which the verifier needs: so it is read back.
        let len = read(&raw const (*packet).len) as usize;
        if len == 0 {
            return None;
        }
        let len = if len > MAX_COPY { MAX_COPY } else { len };
        (*packet).copied = len as u32;
        let data = addr_of_mut!((*packet).data);
        if bpf_skb_load_bytes(ctx.skb.skb.cast(), start, data.cast(), len as u32) != 0 {
            return None;
        }
        let all = core::slice::from_raw_parts(packet.cast::<u8>(), Packet::HEADER + len);
        if PACKETS.output::<[u8]>(all, 0).is_err() {
            let counters = TGT_COUNTERS.get_ptr_mut(slot)?;
            add((&raw mut (*counters).old_lost).cast(), 1);
        }
    }
    Some(())
}
