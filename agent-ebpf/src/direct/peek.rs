//! The head with which a packet begins.

use core::ptr::{addr_of_mut, read_volatile as read};

use aya_ebpf::{helpers::bpf_skb_load_bytes, programs::TcContext};
use byway_abi::direct::{MAX_SCAN, Reason};

use super::{
    Scratch,
    packet::Packet,
    scan::{self, Found},
};

/// Heads of this length are copied whole; longer ones are looked at again.
const USUAL_HEAD: u32 = 1024;

#[inline(always)]
pub(super) unsafe fn read_head(ctx: &TcContext, scratch: *mut Scratch, packet: &Packet) -> i32 {
    // SAFETY: values of maps.
    unsafe {
        let head = &raw mut (*scratch).head;
        let found = scan::scan(copy(ctx, head, packet, USUAL_HEAD), packet.key.ns);
        if found != Found::Incomplete as i32 || packet.len <= USUAL_HEAD {
            return found;
        }
        scan::scan(copy(ctx, head, packet, MAX_SCAN as u32), packet.key.ns)
    }
}

/// Copies the payload's beginning to where it is looked at; says how much.
#[inline(always)]
unsafe fn copy(ctx: &TcContext, head: *mut scan::Head, packet: &Packet, most: u32) -> u32 {
    // SAFETY: a value of a map, of which `most` bytes at least may be written.
    unsafe {
        (*head).result = scan::Scanned { reason: Reason::Incomplete as u32, ..scan::Scanned::NOTHING };
        (*head).len = if packet.len > most { most } else { packet.len };
        let len = read(&raw const (*head).len); // as in `egress::begin`
        if len == 0 || len > most {
            return 0;
        }
        match bpf_skb_load_bytes(ctx.skb.skb.cast(), packet.payload, addr_of_mut!((*head).bytes).cast(), len)
        {
            0 => len,
            _ => 0,
        }
    }
}
