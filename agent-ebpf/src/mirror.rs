//! `classifier` at the ingress of a target's interfaces (TCX, kernel 6.6; else clsact): copies what clients send to ports
//! whose requests a preview is shown, into a ring buffer. And at their egress, how the app's packets begin: among them is
//! the status of each answer.
//!
//! They only watch. Whatever happens they let the packet go on; what there is no room for is counted. Attached only while
//! a preview is shown copies.

use core::ptr::{addr_of_mut, read_volatile as read};

use aya_ebpf::{helpers::bpf_skb_load_bytes, macros::classifier, programs::TcContext};
use byway_abi::{
    PortKey,
    mirror::{ANSWER, CHUNK, CHUNKS, Copy, Mirrored, STATUS, spread},
};

use crate::{
    add,
    maps::{COPIES, COPY, MIRRORED},
    segment::Segment,
};

/// See `observe`.
const NEXT: i32 = -1;
/// Nobody is woken for a copy (`BPF_RB_NO_WAKEUP`): the agent looks by itself, and the app's processor has something better
/// to do.
const NO_WAKEUP: u64 = 1;
/// SYN, FIN and RST: packets that matter without a payload.
const MARKS: u32 = 1 | 2 | 4;

#[classifier]
fn byway_mirror(ctx: TcContext) -> i32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { requests(&ctx) };
    NEXT
}

#[classifier]
fn byway_statuses(ctx: TcContext) -> i32 {
    // SAFETY: as above.
    unsafe { statuses(&ctx) };
    NEXT
}

/// `None`: nothing to copy.
#[inline(always)]
unsafe fn requests(ctx: &TcContext) -> Option<()> {
    // SAFETY: a valid context, a value of a map, and one of this CPU, which nobody else uses before the program ends.
    unsafe {
        let segment = Segment::read(ctx, false)?;
        let mirrored = mirrored(&segment)?;
        let copy = COPY.get_ptr_mut(0)?;
        (*copy).key = segment.key;
        (*copy).flags = segment.flags & 0xff;
        let len = if segment.end > segment.start { segment.end - segment.start } else { 0 };
        if len == 0 {
            if segment.flags & MARKS != 0 {
                (*copy).seq = segment.seq;
                (*copy).len = 0;
                let bare = core::slice::from_raw_parts(copy.cast::<u8>(), Copy::HEADER);
                let _ = COPIES.output::<[u8]>(bare, NO_WAKEUP);
            }
            return None;
        }
        let (mut at, mut left, mut seq) = (segment.start, len, segment.seq);
        for chunk in 0..CHUNKS {
            (*copy).seq = seq;
            (*copy).len = if left > CHUNK as u32 { CHUNK as u32 } else { left };
            // See `observe`: read back for the verifier.
            let len = read(&raw const (*copy).len) as usize;
            if len == 0 || len > CHUNK {
                return None;
            }
            if bpf_skb_load_bytes(ctx.skb.skb.cast(), at, addr_of_mut!((*copy).data).cast(), len as u32) != 0
            {
                return None;
            }
            let all = core::slice::from_raw_parts(copy.cast::<u8>(), Copy::HEADER + len);
            if COPIES.output::<[u8]>(all, NO_WAKEUP).is_err() {
                // Of a request that nobody will have seen the head of. Others are found to be cut.
                if chunk == 0 && begins_request(&(*copy).data) {
                    add((&raw mut (*mirrored).lost).cast(), 1);
                }
                return None;
            }
            at += len as u32;
            seq = seq.wrapping_add(len as u32);
            left -= len as u32;
            if left == 0 {
                return Some(());
            }
            (*copy).flags &= !MARKS | 1; // one SYN is enough
        }
    }
    None
}

#[inline(always)]
unsafe fn statuses(ctx: &TcContext) -> Option<()> {
    // SAFETY: as above.
    unsafe {
        let segment = Segment::read(ctx, true)?;
        if segment.end < segment.start + STATUS {
            return None;
        }
        mirrored(&segment)?;
        let copy = COPY.get_ptr_mut(0)?;
        if bpf_skb_load_bytes(ctx.skb.skb.cast(), segment.start, addr_of_mut!((*copy).data).cast(), STATUS)
            != 0
        {
            return None;
        }
        // `HTTP`, as it lies in memory.
        if read(addr_of_mut!((*copy).data).cast::<u32>()) != u32::from_ne_bytes(*b"HTTP") {
            return None;
        }
        (*copy).key = segment.key;
        (*copy).flags = segment.flags & 0xff | ANSWER;
        (*copy).seq = segment.seq;
        (*copy).len = STATUS;
        let all = core::slice::from_raw_parts(copy.cast::<u8>(), Copy::HEADER + STATUS as usize);
        let _ = COPIES.output::<[u8]>(all, NO_WAKEUP);
    }
    Some(())
}

/// What is copied of the port, if this connection is among those that are.
#[inline(always)]
unsafe fn mirrored(segment: &Segment) -> Option<*mut Mirrored> {
    let port = PortKey { ns: segment.key.ns, port: segment.key.local_port, pad: 0 };
    let mirrored = MIRRORED.get_ptr_mut(port)?;
    // SAFETY: a value of a map.
    let percent = unsafe { read(&raw const (*mirrored).percent) };
    (spread(&segment.key) < percent).then_some(mirrored)
}

/// GET and HEAD: what is copied unless a match says otherwise.
#[inline(always)]
unsafe fn begins_request(data: &[u8; CHUNK]) -> bool {
    // SAFETY: four bytes of it.
    let word = unsafe { read(data.as_ptr().cast::<u32>()) };
    word == u32::from_ne_bytes(*b"GET ") || word == u32::from_ne_bytes(*b"HEAD")
}
