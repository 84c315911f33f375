//! `classifier` at the ingress of a target's interfaces (TCX, kernel 6.6; else clsact): copies what comes on
//! connections that were open before the route, and so bypass the agent, into a ring buffer. And at their egress, what
//! the app answers, where idle ones are to be closed.
//!
//! They only watch. Whatever happens they let the packet go on to the filters of others and to its destination; a
//! packet for which there is no room is counted and not copied. Attached only while a target has such connections.

use core::ptr::{addr_of_mut, read_volatile as read};

use aya_ebpf::{Global, helpers::bpf_skb_load_bytes, macros::classifier, programs::TcContext};
use byway_abi::{DialKey, MAPPED, MAX_COPY, Packet};

use crate::{
    add,
    maps::{OLD, PACKET, PACKETS, TGT_COUNTERS},
    target::NS,
};

/// Bytes before the IP header on this interface.
#[unsafe(no_mangle)]
static LINK_HEADER: Global<u32> = Global::new(14);

/// `TCX_NEXT`, and `TC_ACT_UNSPEC` of clsact: the next filter decides. 0 would skip it.
const NEXT: i32 = -1;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;

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
    let mut key = DialKey { ns: NS.load(), remote: [0; 4], local: [0; 4], remote_port: 0, local_port: 0 };
    let link = LINK_HEADER.load();
    // SAFETY: a field of a valid context.
    let protocol = unsafe { read(&raw const (*ctx.skb.skb).protocol) } as u16;
    // All by bpf_skb_load_bytes: hardly any packet lies in memory in one piece.
    let (tcp, ip_len) = match u16::from_be(protocol) {
        IPV4 => {
            let ip: [u8; 20] = ctx.load(link as usize).ok()?;
            let is_later_fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff != 0;
            if ip[9] != TCP || is_later_fragment {
                return None;
            }
            key.remote = [0, 0, MAPPED, word(&ip, 12)];
            key.local = [0, 0, MAPPED, word(&ip, 16)];
            (link + u32::from(ip[0] & 15) * 4, u32::from(u16::from_be_bytes([ip[2], ip[3]])))
        }
        IPV6 => {
            let ip: [u8; 40] = ctx.load(link as usize).ok()?;
            if ip[6] != TCP {
                return None; // extension headers: not looked at
            }
            key.remote = [word(&ip, 8), word(&ip, 12), word(&ip, 16), word(&ip, 20)];
            key.local = [word(&ip, 24), word(&ip, 28), word(&ip, 32), word(&ip, 36)];
            let payload = u32::from(u16::from_be_bytes([ip[4], ip[5]]));
            (link + 40, if payload == 0 { 0 } else { payload + 40 })
        }
        _ => return None,
    };
    let header: [u8; 14] = ctx.load(tcp as usize).ok()?;
    key.remote_port = u32::from(u16::from_be_bytes([header[0], header[1]]));
    key.local_port = u32::from(u16::from_be_bytes([header[2], header[3]]));
    if is_answer {
        // As the app has it: the client is remote.
        (key.remote, key.local) = (key.local, key.remote);
        (key.remote_port, key.local_port) = (key.local_port, key.remote_port);
    }
    // SAFETY: the value is read at once.
    let slot = unsafe { *OLD.get(&key)? };
    let start = tcp + u32::from(header[12] >> 4) * 4;
    // Short frames are padded. A length of 0 stands for one that does not fit the field.
    let end = if ip_len == 0 { ctx.len() } else { ctx.len().min(link + ip_len) };
    if end <= start {
        return None;
    }
    // SAFETY: a value of this CPU, which nobody else uses before the program ends.
    unsafe {
        let packet = PACKET.get_ptr_mut(0)?;
        (*packet).key = key;
        (*packet).is_answer = u32::from(is_answer);
        (*packet).seq = word(&header, 4).swap_bytes();
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

/// Four bytes as they lie in memory.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
