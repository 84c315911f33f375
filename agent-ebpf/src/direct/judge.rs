//! The packet at which a head begins, and all packets of connections that are held. Loaded once per node; stands behind
//! [`ingress`](super::ingress).

use core::ptr::{addr_of, addr_of_mut, read_volatile as read};

use aya_ebpf::{
    Global,
    bindings::{BPF_F_CURRENT_NETNS, bpf_sock_tuple},
    helpers::{
        bpf_ktime_get_ns, bpf_sk_release, bpf_skb_load_bytes, bpf_skc_lookup_tcp, bpf_skc_to_tcp_sock,
    },
    macros::classifier,
    programs::TcContext,
};
use byway_abi::{
    Steer,
    direct::{
        Conn, Event, MARK_ASK, MAX_FRAME, MAX_HEADERS, MAX_PARTS, MAX_SCAN, Reason, Socket, flag, opaque,
        state,
    },
};

use super::{
    DROP, NEXT, SCRATCH, Scratch, attended, is_attended,
    packet::{FIN, Packet, is_behind},
    passed_on,
    scan::{self, Found},
    swap,
};
use crate::{
    add,
    maps::{CONNS, EVENTS, OLD, STEERED, TGT_COUNTERS},
};

macro_rules! offsets {
    ($($name:ident)*) => { $(#[unsafe(no_mangle)] static $name: Global<u64> = Global::new(0);)* };
}
offsets! {
    OFF_TP_STATE OFF_TP_SND_NXT OFF_TP_SND_UNA OFF_TP_WRITE_SEQ OFF_TP_RCV_NXT OFF_TP_COPIED OFF_TP_RCV_WND
    OFF_TP_RCV_WUP OFF_TP_SND_WND OFF_TP_MAX_WIN OFF_TP_MSS_CLAMP OFF_TP_TSOFFSET OFF_TP_OPTIONS
}

/// So long a packet behind a missing head is dropped, to come again behind it: the head may be lost more than once, and
/// each time its client waits twice as long.
const GAP_NS: u64 = 8_000_000_000;
/// So long a connection is held without a word from the agent.
const HELD_NS: u64 = 8_000_000_000;
/// First byte of a TLS record with a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// `TCP_ESTABLISHED`.
const ESTABLISHED: u32 = 1;
/// Most bytes of payload in one event.
const PART: u32 = (MAX_FRAME - MAX_HEADERS) as u32;
/// Heads of this length are copied whole; longer ones are looked at again.
const USUAL_HEAD: u32 = 1024;

#[classifier]
fn byway_judge(ctx: TcContext) -> i32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { look(&ctx) }
}

#[inline(always)]
unsafe fn look(ctx: &TcContext) -> i32 {
    // SAFETY: values of maps; the packet is the one that `ingress` has put there.
    unsafe {
        let Some(scratch) = passed_on(ctx) else { return NEXT };
        let packet = &(*scratch).packet;
        let Some(conn) = CONNS.get_ptr_mut(packet.key) else { return NEXT };
        match read(&raw const (*conn).state) {
            state::HELD => return held(ctx, packet, conn),
            state::OLD => return join(ctx, scratch, packet, conn),
            _ => {}
        }
        if is_tentative(conn) && (packet.seq != read(&raw const (*conn).next) || owes(packet, conn)) {
            return leave(conn);
        }
        let next = read(&raw const (*conn).next);
        if packet.seq == next {
            return judge(ctx, scratch, packet, conn);
        }
        if is_behind(packet.seq, next) {
            return gap(ctx, scratch, conn);
        }
        hold(ctx, packet, conn, Reason::Straddles as u32)
    }
}

/// A connection that was open before: a head may begin here if the app has read and answered all, and the client has got
/// all of it. If it is one, the app answers it, and the next head begins where its framing says, and not before that.
#[inline(always)]
unsafe fn join(ctx: &TcContext, scratch: *mut Scratch, packet: &Packet, conn: *mut Conn) -> i32 {
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
        (*conn).flags = flag::ALIVE | flag::JOINED | flag::ASKED | head;
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
unsafe fn is_tentative(conn: *mut Conn) -> bool {
    // SAFETY: a value of a map.
    unsafe { read(&raw const (*conn).flags) & flag::JOINED != 0 && read(&raw const (*conn).requests) == 1 }
}

/// It was none: nothing is known again.
#[inline(always)]
unsafe fn leave(conn: *mut Conn) -> i32 {
    // SAFETY: a value of a map.
    unsafe {
        swap(conn, state::DIRECT, state::OLD);
    }
    NEXT
}

/// Whether the app has said nothing to the last request, or the client does not have all of it.
#[inline(always)]
unsafe fn owes(packet: &Packet, conn: *mut Conn) -> bool {
    // SAFETY: a value of a map.
    unsafe {
        read(&raw const (*conn).flags) & flag::ASKED != 0
            || is_behind(read(&raw const (*conn).app_end), packet.ack)
    }
}

/// What lies before it was lost, and a head may be in it. It comes again, and this one too; unless the app has it, which
/// has come by a way that is not looked at, say in fragments.
#[inline(always)]
unsafe fn gap(ctx: &TcContext, scratch: *mut Scratch, conn: *mut Conn) -> i32 {
    // SAFETY: values of maps.
    unsafe {
        let (packet, socket) = (&(*scratch).packet, &raw mut (*scratch).event.socket);
        (*socket).found = 0;
        snapshot(ctx, packet, socket);
        if read(&raw const (*socket).found) == 1
            && is_behind(read(&raw const (*socket).rcv_nxt), read(&raw const (*conn).next))
        {
            return let_go(conn, Steer::Gap);
        }
        let (now, since) = (bpf_ktime_get_ns(), read(&raw const (*conn).at));
        if read(&raw const (*conn).held) == 0 {
            (*conn).held = 1;
            (*conn).at = now;
        } else if now.saturating_sub(since) > GAP_NS {
            return let_go(conn, Steer::Gap);
        }
    }
    DROP
}

#[inline(always)]
unsafe fn judge(ctx: &TcContext, scratch: *mut Scratch, packet: &Packet, conn: *mut Conn) -> i32 {
    // SAFETY: values of maps.
    unsafe {
        let found = read_head(ctx, scratch, packet);
        let head = &raw const (*scratch).head;
        let result = (*head).result;
        let is_first = read(&raw const (*conn).requests) == 0;
        if is_first {
            if found == Found::NotHttp as i32 {
                (*conn).state = state::OPAQUE;
                let is_tls = read(addr_of!((*head).bytes).cast::<u8>()) == TLS_HANDSHAKE;
                count_opaque(conn, if is_tls { opaque::TLS } else { opaque::NOT_HTTP });
                return NEXT;
            }
            (*conn).app_end = packet.ack;
            (*conn).answer = packet.ack;
        }
        if is_tentative(conn) && found != Found::Request as i32 && result.reason != Reason::Key as u32 {
            return leave(conn);
        }
        if found != Found::Request as i32 {
            return hold(ctx, packet, conn, result.reason);
        }
        let total = result.head + result.body;
        if packet.len > total {
            return hold(ctx, packet, conn, Reason::Second as u32);
        }
        let mut flags = read(&raw const (*conn).flags) & !flag::HEAD;
        if !is_first && owes(packet, conn) && flags & flag::PIPELINED == 0 {
            return hold(ctx, packet, conn, Reason::Ahead as u32);
        }
        if result.is_head == 1 {
            flags |= flag::HEAD;
        }
        (*conn).flags = flags | flag::ASKED;
        (*conn).held = 0;
        (*conn).next = packet.seq.wrapping_add(total);
        (*conn).requests += 1;
        (*conn).answer = packet.ack;
        (*conn).acked = packet.ack;
        if let Some(counters) = TGT_COUNTERS.get_ptr_mut(read(&raw const (*conn).slot)) {
            add((&raw mut (*counters).app_requests).cast(), 1);
        }
    }
    NEXT
}

#[inline(always)]
unsafe fn read_head(ctx: &TcContext, scratch: *mut Scratch, packet: &Packet) -> i32 {
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

#[inline(always)]
unsafe fn hold(ctx: &TcContext, packet: &Packet, conn: *mut Conn, reason: u32) -> i32 {
    // SAFETY: a value of a map.
    unsafe {
        if let Err(why) = attended() {
            return let_go(conn, why);
        }
        (*conn).reason = reason;
        (*conn).acked = packet.ack;
        (*conn).at = bpf_ktime_get_ns();
        (*conn).held = packet.seq;
        (*conn).state = state::HELD;
        match copy_all(ctx, packet, conn, Event::HOLD) {
            0 => let_go(conn, Steer::Backlog),
            parts => {
                (*conn).held = behind(packet, parts);
                DROP
            }
        }
    }
}

/// Nobody is there to decide: the app's for good.
#[inline(always)]
unsafe fn let_go(conn: *mut Conn, why: Steer) -> i32 {
    // SAFETY: values of maps; a counter is of this processor.
    unsafe {
        (*conn).state = state::OPAQUE;
        (*conn).flags |= flag::UNREAD;
        if let Some(n) = STEERED.get_ptr_mut(read(&raw const (*conn).slot) * Steer::COUNT + why as u32) {
            *n += 1;
        }
    }
    NEXT
}

#[inline(always)]
pub(super) unsafe fn count_opaque(conn: *mut Conn, why: usize) {
    // SAFETY: values of maps.
    unsafe {
        if let Some(counters) = TGT_COUNTERS.get_ptr_mut(read(&raw const (*conn).slot)) {
            add((&raw mut (*counters).opaque[why]).cast(), 1);
        }
    }
}

/// Behind what of the packet is in so many parts of it.
#[inline(always)]
fn behind(packet: &Packet, parts: u32) -> u32 {
    let most = parts * PART;
    if packet.len > most {
        packet.seq.wrapping_add(most)
    } else {
        packet.end().wrapping_add(packet.flags & FIN)
    }
}

/// Tells the agent of a packet and all that is in it; in how many parts there was room.
#[inline(always)]
unsafe fn copy_all(ctx: &TcContext, packet: &Packet, conn: *mut Conn, kind: u32) -> u32 {
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

#[inline(always)]
unsafe fn held(ctx: &TcContext, packet: &Packet, conn: *mut Conn) -> i32 {
    // SAFETY: a value of a map; a field of the context.
    unsafe {
        let mark = read(&raw const (*ctx.skb.skb).mark);
        if mark == MARK_ASK {
            emit(ctx, packet, conn, Event::SOCKET);
            return DROP;
        }
        let since = read(&raw const (*conn).at);
        if !is_attended() || bpf_ktime_get_ns().saturating_sub(since) > HELD_NS {
            let is_held = swap(conn, state::HELD, state::OPAQUE);
            return if is_held { let_go(conn, Steer::Stale) } else { DROP };
        }
        if is_behind(packet.ack, read(&raw const (*conn).acked)) {
            (*conn).acked = packet.ack;
            emit(ctx, packet, conn, Event::SOCKET);
        }
        if packet.len == 0 && packet.flags & FIN == 0 {
            return NEXT;
        }
        // What is sent again may have grown.
        let (until, end) = (read(&raw const (*conn).held), behind(packet, MAX_PARTS));
        if !is_behind(packet.seq, until) && is_behind(end, until) {
            let copied = behind(packet, copy_all(ctx, packet, conn, Event::MORE));
            if is_behind(copied, until) {
                (*conn).held = copied;
            }
            return DROP;
        }
        // The app may not have all that lies before the head.
        if packet.len != 0 && !is_behind(packet.end(), read(&raw const (*conn).next)) { NEXT } else { DROP }
    }
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
unsafe fn snapshot(ctx: &TcContext, packet: &Packet, to: *mut Socket) {
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
