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
    mirror::{ANSWER, CHUNK, CHUNKS, Copy, MOST_UNWANTED, STATUS, spread},
};

use crate::{
    NEXT, add,
    maps::{COPIES, COPY, MIRRORED, UNCOPIED, UNWANTED},
    segment::Segment,
};

/// Nobody is woken for a copy (`BPF_RB_NO_WAKEUP`): the agent looks by itself, and the app's processor has something better
/// to do.
const NO_WAKEUP: u64 = 1;
/// SYN, FIN and RST: packets that matter without a payload.
const MARKS: u32 = SYN | ENDS;
const SYN: u32 = 2;
/// FIN and RST.
const ENDS: u32 = 1 | 4;

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
        let len = if segment.end > segment.start { segment.end - segment.start } else { 0 };
        if len == 0 && segment.flags & MARKS == 0 {
            return None;
        }
        let mirrored = MIRRORED.get_ptr(port(&segment))?;
        let place = spread(&segment.key);
        if place >= read(&raw const (*mirrored).percent) {
            return None;
        }
        if place >= read(&raw const (*mirrored).now) {
            if len >= 4 && begins_request(ctx, segment.start) {
                count(&segment, true, false);
            }
            return None;
        }
        let copy = COPY.get_ptr_mut(0)?;
        (*copy).key = segment.key;
        (*copy).flags = segment.flags & 0xff;
        let is_whole = read(&raw const (*mirrored).whole) != 0;
        if len == 0 || is_whole && is_unwanted(&segment, len) {
            bare(copy, &segment, len);
            return None;
        }
        let most = if is_whole { CHUNKS } else { 1 };
        payload(ctx, copy, &segment, most)
    }
}

/// Whether it is part of a request that will not be shown, say since it is too long.
#[inline(always)]
unsafe fn is_unwanted(segment: &Segment, len: u32) -> bool {
    // SAFETY: a value of a map, read at once.
    let Some(until) = (unsafe { UNWANTED.get(segment.key) }) else { return false };
    let left = until.wrapping_sub(segment.seq);
    left >= len && left <= MOST_UNWANTED
}

#[inline(always)]
unsafe fn statuses(ctx: &TcContext) -> Option<()> {
    // SAFETY: as above.
    unsafe {
        let segment = Segment::read(ctx, true)?;
        let (has_payload, ends) = (segment.end > segment.start, segment.flags & ENDS != 0);
        if !has_payload && !ends {
            return None;
        }
        let mirrored = MIRRORED.get_ptr(port(&segment))?;
        let place = spread(&segment.key);
        let is_whole = has_payload && place < read(&raw const (*mirrored).answers);
        let is_seen = place < read(&raw const (*mirrored).now);
        let has_status = segment.end >= segment.start + STATUS;
        if !is_whole && !(is_seen && (has_status || ends)) {
            return None;
        }
        let copy = COPY.get_ptr_mut(0)?;
        (*copy).key = segment.key;
        (*copy).flags = segment.flags & 0xff | ANSWER;
        if is_whole {
            return payload(ctx, copy, &segment, CHUNKS);
        }
        if ends {
            bare(copy, &segment, 0);
        }
        if !has_status {
            return None;
        }
        if bpf_skb_load_bytes(ctx.skb.skb.cast(), segment.start, addr_of_mut!((*copy).data).cast(), STATUS)
            != 0
        {
            return None;
        }
        // `HTTP`, as it lies in memory.
        if read(addr_of_mut!((*copy).data).cast::<u32>()) != u32::from_ne_bytes(*b"HTTP") {
            return None;
        }
        (*copy).seq = segment.seq;
        (*copy).len = STATUS;
        (*copy).missing = 0;
        let all = core::slice::from_raw_parts(copy.cast::<u8>(), Copy::HEADER + STATUS as usize);
        let _ = COPIES.output::<[u8]>(all, NO_WAKEUP);
    }
    Some(())
}

/// Copies a packet without its payload, of which so many bytes are missing. Of `copy` the key and the flags are there.
#[inline(always)]
unsafe fn bare(copy: *mut Copy, segment: &Segment, missing: u32) {
    // SAFETY: the caller hands the value of this CPU.
    unsafe {
        (*copy).seq = segment.seq;
        (*copy).len = 0;
        (*copy).missing = missing;
        let bare = core::slice::from_raw_parts(copy.cast::<u8>(), Copy::HEADER);
        let _ = COPIES.output::<[u8]>(bare, NO_WAKEUP);
    }
}

/// Copies a payload, of which there is some, in so many pieces at most. Of `copy` the key and the flags are there.
#[inline(always)]
unsafe fn payload(ctx: &TcContext, copy: *mut Copy, segment: &Segment, most: u32) -> Option<()> {
    // SAFETY: as above; the caller hands the value of this CPU.
    unsafe {
        let (mut at, mut left, mut seq) = (segment.start, segment.end - segment.start, segment.seq);
        let flags = read(&raw const (*copy).flags);
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
            left -= len as u32;
            let is_last = left == 0 || chunk + 1 >= most;
            (*copy).missing = if is_last { left } else { 0 };
            // The first one begins, and the last one ends.
            let not = if chunk == 0 { 0 } else { SYN } | if is_last { 0 } else { ENDS };
            (*copy).flags = flags & !not;
            let all = core::slice::from_raw_parts(copy.cast::<u8>(), Copy::HEADER + len);
            if COPIES.output::<[u8]>(all, NO_WAKEUP).is_err() {
                // Of a request nobody will have seen the head. Others are found to be cut.
                let begins = chunk == 0 && is_read(read(addr_of_mut!((*copy).data).cast::<u32>()));
                count(segment, begins, true);
                return None;
            }
            if is_last {
                return Some(());
            }
            at += len as u32;
            seq = seq.wrapping_add(len as u32);
        }
    }
    None
}

const fn port(segment: &Segment) -> PortKey {
    PortKey { ns: segment.key.ns, port: segment.key.local_port, pad: 0 }
}

#[inline(always)]
unsafe fn count(segment: &Segment, is_lost: bool, is_full: bool) {
    let Some(uncopied) = UNCOPIED.get_ptr_mut(port(segment)) else { return };
    // SAFETY: a value of a map.
    unsafe {
        add((&raw mut (*uncopied).lost).cast(), is_lost.into());
        add((&raw mut (*uncopied).full).cast(), is_full.into());
    }
}

#[inline(always)]
unsafe fn begins_request(ctx: &TcContext, at: u32) -> bool {
    let mut word = 0_u32;
    // SAFETY: four bytes to write to.
    unsafe { bpf_skb_load_bytes(ctx.skb.skb.cast(), at, (&raw mut word).cast(), 4) == 0 && is_read(word) }
}

/// GET and HEAD: what is copied unless a match says otherwise.
#[inline(always)]
const fn is_read(word: u32) -> bool {
    word == u32::from_ne_bytes(*b"GET ") || word == u32::from_ne_bytes(*b"HEAD")
}
