//! A packet of TCP, as far as it is known to who only watches.

use core::ptr::read_volatile as read;

use aya_ebpf::{Global, programs::TcContext};
use byway_abi::{DialKey, MAPPED};

use crate::target::NS;

/// Bytes before the IP header on this interface.
#[unsafe(no_mangle)]
static LINK_HEADER: Global<u32> = Global::new(14);

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;

pub(crate) struct Segment {
    /// `remote` is the client, whichever way the packet goes.
    pub(crate) key: DialKey,
    pub(crate) seq: u32,
    pub(crate) flags: u32,
    /// Where the payload begins, and where it ends.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Segment {
    /// `None`: no such packet.
    #[inline(always)]
    pub(crate) unsafe fn read(ctx: &TcContext, is_answer: bool) -> Option<Self> {
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
        let start = tcp + u32::from(header[12] >> 4) * 4;
        // Short frames are padded. A length of 0 stands for one that does not fit the field.
        let end = if ip_len == 0 { ctx.len() } else { ctx.len().min(link + ip_len) };
        Some(Self { key, seq: word(&header, 4).swap_bytes(), flags: u32::from(header[13]), start, end })
    }
}

/// Four bytes as they lie in memory.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
