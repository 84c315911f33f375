//! What the programs tell the agent: of a connection, how its socket stands, and what is in a packet.

use core::ptr::{addr_of_mut, read_volatile as read};

use aya_ebpf::{
    Global,
    bindings::{BPF_F_CURRENT_NETNS, bpf_sock_tuple},
    helpers::{
        bpf_ktime_get_ns, bpf_sk_release, bpf_skb_load_bytes, bpf_skc_lookup_tcp, bpf_skc_to_tcp_sock,
    },
    programs::TcContext,
};
use byway_abi::direct::{Conn, Event, MAX_FRAME, MAX_HEADERS, MAX_PARTS, Socket};

use super::{
    SCRATCH,
    packet::{FIN, Packet},
};
use crate::maps::EVENTS;

macro_rules! offsets {
    ($($name:ident)*) => { $(#[unsafe(no_mangle)] static $name: Global<u64> = Global::new(0);)* };
}
offsets! {
    OFF_TP_STATE OFF_TP_SND_NXT OFF_TP_SND_UNA OFF_TP_WRITE_SEQ OFF_TP_RCV_NXT OFF_TP_COPIED OFF_TP_RCV_WND
    OFF_TP_RCV_WUP OFF_TP_SND_WND OFF_TP_MAX_WIN OFF_TP_MSS_CLAMP OFF_TP_TSOFFSET OFF_TP_OPTIONS
}

/// Most bytes of payload in one event.
const PART: u32 = (MAX_FRAME - MAX_HEADERS) as u32;

/// Behind what of the packet is in so many parts of it.
#[inline(always)]
pub(super) fn behind(packet: &Packet, parts: u32) -> u32 {
    let most = parts * PART;
    if packet.len > most {
        packet.seq.wrapping_add(most)
    } else {
        packet.end().wrapping_add(packet.flags & FIN)
    }
}

/// Tells the agent of a packet and all that is in it; in how many parts there was room.
#[inline(always)]
pub(super) unsafe fn copy_all(ctx: &TcContext, packet: &Packet, conn: *mut Conn, kind: u32) -> u32 {
    let mut parts = 0;
    while parts < MAX_PARTS {
        let at = parts * PART;
        // SAFETY: the caller's.
        let told = (parts == 0 || at < packet.len)
            && unsafe { emit_part(ctx, packet, conn, if parts == 0 { kind } else { Event::MORE }, at) };
        if !told {
            break;
        }
        parts += 1;
    }
    parts
}

/// Tells the agent of the connection; whether there was room.
#[inline(always)]
pub(super) unsafe fn emit(ctx: &TcContext, packet: &Packet, conn: *mut Conn, kind: u32) -> bool {
    // SAFETY: the caller's.
    unsafe { emit_part(ctx, packet, conn, kind, 0) }
}

/// The same, of the payload from `at` on where the event carries any.
#[inline(always)]
unsafe fn emit_part(ctx: &TcContext, packet: &Packet, conn: *mut Conn, kind: u32, at: u32) -> bool {
    let skb = ctx.skb.skb;
    // SAFETY: values of maps; fields of the context.
    unsafe {
        let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return false };
        let event = &raw mut (*scratch).event;
        (*event).key = packet.key;
        (*event).kind = kind;
        (*event).interface = read(&raw const (*skb).ifindex);
        (*event).seq = packet.seq.wrapping_add(at);
        (*event).ack = packet.ack;
        (*event).len = packet.len - at;
        (*event).ip = packet.ip;
        (*event).tcp = packet.tcp;
        (*event).payload = packet.payload;
        (*event).pad = 0;
        (*event).at = bpf_ktime_get_ns();
        (*event).conn = *conn;
        (*event).socket.found = 0;
        if kind == Event::HOLD || kind == Event::SOCKET {
            snapshot(ctx, packet, &raw mut (*event).socket);
        }
        let frame = addr_of_mut!((*scratch).frame).cast::<u8>();
        (*event).frame = 0;
        if kind == Event::HOLD || kind == Event::MORE {
            // Read back, as in `egress::begin`.
            (*event).frame = packet.payload;
            let headers = read(&raw const (*event).frame);
            if headers == 0
                || headers > MAX_HEADERS as u32
                || bpf_skb_load_bytes(skb.cast(), 0, frame.cast(), headers) != 0
            {
                return false;
            }
            (*event).frame = if packet.len - at > PART { PART } else { packet.len - at };
            let len = read(&raw const (*event).frame);
            if len > PART {
                return false;
            }
            let (from, to) = (packet.payload + at, frame.add(headers as usize));
            if len > 0 && bpf_skb_load_bytes(skb.cast(), from, to.cast(), len) != 0 {
                return false;
            }
            (*event).frame = headers + len;
        }
        let len = read(&raw const (*event).frame) as usize;
        if len > MAX_FRAME {
            return false;
        }
        let all = core::slice::from_raw_parts(event.cast::<u8>(), size_of::<Event>() + len);
        const FORCE_WAKEUP: u64 = 2;
        EVENTS.output::<[u8]>(all, FORCE_WAKEUP).is_ok()
    }
}

/// Reads what a clone has to know.
#[inline(never)]
pub(super) unsafe fn snapshot(ctx: &TcContext, packet: &Packet, to: *mut Socket) {
    let key = &packet.key;
    // SAFETY: offsets are those of the running kernel's BTF; the socket is referenced until it is released.
    unsafe {
        let mut tuple: bpf_sock_tuple = core::mem::zeroed();
        let len = if packet.is_v4 == 1 {
            let to = &mut tuple.__bindgen_anon_1.ipv4;
            to.saddr = key.remote[3];
            to.daddr = key.local[3];
            to.sport = (key.remote_port as u16).to_be();
            to.dport = (key.local_port as u16).to_be();
            12
        } else {
            let to = &mut tuple.__bindgen_anon_1.ipv6;
            to.saddr = key.remote;
            to.daddr = key.local;
            to.sport = (key.remote_port as u16).to_be();
            to.dport = (key.local_port as u16).to_be();
            36
        };
        let here = BPF_F_CURRENT_NETNS as i32 as u64;
        let sk = bpf_skc_lookup_tcp(ctx.skb.skb.cast(), &raw mut tuple, len, here, 0);
        if sk.is_null() {
            return;
        }
        let tp = bpf_skc_to_tcp_sock(sk.cast()).cast::<u8>();
        if !tp.is_null() {
            let word = |offset: &Global<u64>| read(tp.add(offset.load() as usize).cast::<u32>());
            (*to).state = u32::from(read(tp.add(OFF_TP_STATE.load() as usize)));
            (*to).snd_nxt = word(&OFF_TP_SND_NXT);
            (*to).snd_una = word(&OFF_TP_SND_UNA);
            (*to).write_seq = word(&OFF_TP_WRITE_SEQ);
            (*to).rcv_nxt = word(&OFF_TP_RCV_NXT);
            (*to).copied_seq = word(&OFF_TP_COPIED);
            (*to).rcv_wnd = word(&OFF_TP_RCV_WND);
            (*to).rcv_wup = word(&OFF_TP_RCV_WUP);
            (*to).snd_wnd = word(&OFF_TP_SND_WND);
            (*to).max_window = word(&OFF_TP_MAX_WIN);
            (*to).tsoffset = word(&OFF_TP_TSOFFSET);
            (*to).mss_clamp = u32::from(read(tp.add(OFF_TP_MSS_CLAMP.load() as usize).cast::<u16>()));
            let options = OFF_TP_OPTIONS.load() as usize;
            (*to).options = [read(tp.add(options)), read(tp.add(options + 1))];
            (*to).pad = [0; 2];
            (*to).found = 1;
        }
        bpf_sk_release(sk.cast());
    }
}
