//! What the programs need to know of a TCP packet.

use core::ptr::read_volatile as read;

use aya_ebpf::{
    Global,
    helpers::{bpf_l4_csum_replace, bpf_skb_store_bytes},
    programs::TcContext,
};
use byway_abi::{DialKey, MAPPED};

use crate::target::NS;

/// Bytes before the IP header on this interface.
#[unsafe(no_mangle)]
pub(super) static LINK_LEN: Global<u32> = Global::new(14);

pub(super) const FIN: u32 = 1;
pub(super) const SYN: u32 = 2;
pub(super) const RST: u32 = 4;
pub(super) const ACK: u32 = 16;

const IPV4: u16 = 0x0800_u16.to_be();
const IPV6: u16 = 0x86dd_u16.to_be();
const TCP: u8 = 6;
/// Source and destination in the TCP header, and its checksum.
const SOURCE: u32 = 0;
const DESTINATION: u32 = 2;
const CHECKSUM: u32 = 16;

/// A packet of TCP over IPv4 without options, or over IPv6 without extension headers.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Packet {
    /// `remote` is the client, whichever way the packet goes.
    pub(super) key: DialKey,
    pub(super) seq: u32,
    pub(super) ack: u32,
    /// Bytes of payload.
    pub(super) len: u32,
    pub(super) flags: u32,
    /// Where the IP header, the TCP header and the payload begin.
    pub(super) ip: u32,
    pub(super) tcp: u32,
    pub(super) payload: u32,
    pub(super) is_v4: u32,
}

/// Which way it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

impl Packet {
    /// `None`: not such a packet.
    #[inline(always)]
    pub(super) unsafe fn read(ctx: &TcContext, way: Way) -> Option<Self> {
        let skb = ctx.skb.skb;
        // SAFETY: fields of a valid context, read before any branch (see `steer::addresses`). Of the packet only what
        // was compared with its end is read.
        unsafe {
            let (protocol, total) = (read(&raw const (*skb).protocol) as u16, read(&raw const (*skb).len));
            let link = LINK_LEN.load();
            match protocol {
                IPV4 => {
                    let data = linear(ctx, total, link + 40)?;
                    let ip = data.add(link as usize);
                    let fragment = u16::from_be(read(ip.add(6).cast::<u16>())) & 0x3fff;
                    if read(ip) != 0x45 || read(ip.add(9)) != TCP || fragment != 0 {
                        return None;
                    }
                    let addr = |at: usize| [0, 0, MAPPED, read(ip.add(at).cast::<u32>())];
                    let (source, destination) = (addr(12), addr(16));
                    // Segments that are put together may be longer than the field can say.
                    let len = u32::from(u16::from_be(read(ip.add(2).cast::<u16>())));
                    let len = if len == 0 { total - link } else { len };
                    Self::tcp(ip.add(20), [source, destination], len.wrapping_sub(20), link, 20, way)
                }
                IPV6 => {
                    let data = linear(ctx, total, link + 60)?;
                    let ip = data.add(link as usize);
                    if read(ip.add(6)) != TCP {
                        return None;
                    }
                    let word = |at: usize| read(ip.add(at).cast::<u32>());
                    let addr = |at: usize| [word(at), word(at + 4), word(at + 8), word(at + 12)];
                    let (source, destination) = (addr(8), addr(24));
                    let len = u32::from(u16::from_be(read(ip.add(4).cast::<u16>())));
                    let len = if len == 0 { total - link - 40 } else { len };
                    Self::tcp(ip.add(40), [source, destination], len, link, 40, way)
                }
                _ => None,
            }
        }
    }

    #[inline(always)]
    unsafe fn tcp(
        tcp: *const u8,
        [source, destination]: [byway_abi::Addr; 2],
        len: u32,
        link: u32,
        ip_len: u32,
        way: Way,
    ) -> Option<Self> {
        // SAFETY: the caller has compared the header's end with the packet's.
        unsafe {
            let port = |at: usize| u32::from(u16::from_be(read(tcp.add(at).cast::<u16>())));
            let word = |at: usize| u32::from_be(read(tcp.add(at).cast::<u32>()));
            let (from, to) = (port(0), port(2));
            let (remote, local, remote_port, local_port) = match way {
                Way::In => (source, destination, from, to),
                Way::Out => (destination, source, to, from),
            };
            let header = u32::from(read(tcp.add(12)) >> 4) * 4;
            Some(Self {
                key: DialKey { ns: NS.load(), remote, local, remote_port, local_port },
                seq: word(4),
                ack: word(8),
                len: if len > header { len - header } else { 0 },
                flags: u32::from(read(tcp.add(13))),
                ip: link,
                tcp: link + ip_len,
                payload: link + ip_len + header,
                is_v4: u32::from(ip_len == 20),
            })
        }
    }

    /// Behind the last byte.
    #[inline(always)]
    pub(super) fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len)
    }
}

/// Whether sequence number `a` lies behind `b`.
#[inline(always)]
pub(super) fn is_behind(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// The start of the packet, of which `need` bytes lie in one piece. Headers do nearly always; to have more pulled there
/// costs a microsecond.
#[inline(always)]
unsafe fn linear(ctx: &TcContext, total: u32, need: u32) -> Option<*const u8> {
    let data = ctx.data();
    if data + need as usize <= ctx.data_end() {
        return Some(data as *const u8);
    }
    if total < need {
        return None;
    }
    ctx.pull_data(need).ok()?;
    let data = ctx.data();
    if data + need as usize <= ctx.data_end() { Some(data as *const u8) } else { None }
}

/// Changes the port that the packet goes to, or comes from.
#[inline(always)]
pub(super) unsafe fn change_port(ctx: &TcContext, packet: &Packet, way: Way, to: u32) {
    let (from, to) = ((packet.key.local_port as u16).to_be(), (to as u16).to_be());
    let at = match way {
        Way::In => DESTINATION,
        Way::Out => SOURCE,
    };
    let skb = ctx.skb.skb.cast();
    // SAFETY: the helpers check offsets. Neither fails in a header that was just read; if one did, the packet is dropped
    // for its checksum, and sent again.
    unsafe {
        bpf_l4_csum_replace(skb, packet.tcp + CHECKSUM, from.into(), to.into(), 2);
        bpf_skb_store_bytes(skb, packet.tcp + at, (&raw const to).cast(), 2, 0);
    }
}
