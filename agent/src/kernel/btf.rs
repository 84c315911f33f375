//! Offsets of kernel structures, from the running kernel's own BTF: Rust's eBPF has no CO-RE.
//!
//! A reader of its own, for struct members only: the crate that could do it is under the LGPL, and aya's does not
//! tell offsets. Format: Documentation/bpf/btf.rst of the kernel.

#[cfg(test)]
mod tests;

/// Where the running kernel describes its types.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why there are no offsets.
#[derive(Debug, thiserror::Error)]
#[error(
    "NoBtf: {VMLINUX}: {0}; without kernel BTF (CONFIG_DEBUG_INFO_BTF) the agent does not steer: use a kernel that has it"
)]
pub(crate) struct NoBtf(pub(super) String);

/// Offsets in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offsets {
    pub(crate) ack_backlog: u64,
    pub(crate) qlen: u64,
    pub(crate) sk_net: u64,
    pub(crate) net_cookie: u64,
    pub(crate) inet_sport: u64,
    pub(crate) sk_family: u64,
    pub(crate) sk_protocol: u64,
    pub(crate) sk_saddr4: u64,
    pub(crate) sk_saddr6: u64,
    pub(crate) sk_uid: u64,
    pub(crate) sk_v6only: u64,
    /// The bit of the byte at `sk_v6only`.
    pub(crate) mask_v6only: u32,
    pub(crate) sk_daddr4: u64,
    pub(crate) sk_daddr6: u64,
    pub(crate) sk_dport: u64,
    pub(crate) task_nsproxy: u64,
    pub(crate) nsproxy_net: u64,
    /// 0 where the kernel has no netfilter.
    pub(crate) net_hooks4: u64,
    pub(crate) net_hooks6: u64,
    pub(crate) tcp: TcpOffsets,
}

/// Of what a clone has to know of the app's socket, in `struct tcp_sock`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpOffsets {
    pub(crate) state: u64,
    pub(crate) snd_nxt: u64,
    pub(crate) snd_una: u64,
    pub(crate) write_seq: u64,
    pub(crate) rcv_nxt: u64,
    pub(crate) copied_seq: u64,
    pub(crate) rcv_wnd: u64,
    pub(crate) rcv_wup: u64,
    pub(crate) snd_wnd: u64,
    pub(crate) max_window: u64,
    pub(crate) mss_clamp: u64,
    pub(crate) tsoffset: u64,
    /// The two bytes with the bits below.
    pub(crate) options: u64,
    pub(crate) bits: OptionBits,
}

/// Where in the two bytes of options what was negotiated lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptionBits {
    pub(crate) timestamps: u32,
    pub(crate) window_scale: u32,
    pub(crate) sack: u32,
    /// Four bits each.
    pub(crate) send_scale: u32,
    pub(crate) receive_scale: u32,
}

impl Offsets {
    /// Reads them from the running kernel.
    pub(crate) fn read() -> Result<Self, NoBtf> {
        let bytes = std::fs::read(VMLINUX).map_err(|e| NoBtf(e.to_string()))?;
        let btf = Btf::parse(&bytes).ok_or_else(|| NoBtf("not BTF as this agent knows it".to_owned()))?;
        let bits = |name: &str, path: &str| {
            btf.offset(name, path).ok_or_else(|| NoBtf(format!("it has no {name}.{path}")))
        };
        let bytes = |name: &str, path: &str| bits(name, path).map(|bits| u64::from(bits / 8));
        let v6only = bits("sock", "__sk_common.skc_ipv6only")?;
        Ok(Self {
            ack_backlog: bytes("sock", "sk_ack_backlog")?,
            qlen: bytes("inet_connection_sock", "icsk_accept_queue.qlen")?,
            sk_net: bytes("sock", "__sk_common.skc_net.net")?,
            net_cookie: bytes("net", "net_cookie")?,
            inet_sport: bytes("inet_sock", "inet_sport")?,
            sk_family: bytes("sock", "__sk_common.skc_family")?,
            sk_protocol: bytes("sock", "sk_protocol")?,
            sk_saddr4: bytes("sock", "__sk_common.skc_rcv_saddr")?,
            sk_saddr6: bytes("sock", "__sk_common.skc_v6_rcv_saddr")?,
            sk_uid: bytes("sock", "sk_uid")?,
            sk_v6only: u64::from(v6only / 8),
            mask_v6only: 1 << (v6only % 8), // the kernels served are little endian
            sk_daddr4: bytes("sock", "__sk_common.skc_daddr")?,
            sk_daddr6: bytes("sock", "__sk_common.skc_v6_daddr")?,
            sk_dport: bytes("sock", "__sk_common.skc_dport")?,
            task_nsproxy: bytes("task_struct", "nsproxy")?,
            nsproxy_net: bytes("nsproxy", "net_ns")?,
            net_hooks4: bytes("net", "nf.hooks_ipv4").unwrap_or(0),
            net_hooks6: bytes("net", "nf.hooks_ipv6").unwrap_or(0),
            tcp: TcpOffsets {
                state: bytes("sock", "__sk_common.skc_state")?,
                snd_nxt: bytes("tcp_sock", "snd_nxt")?,
                snd_una: bytes("tcp_sock", "snd_una")?,
                write_seq: bytes("tcp_sock", "write_seq")?,
                rcv_nxt: bytes("tcp_sock", "rcv_nxt")?,
                copied_seq: bytes("tcp_sock", "copied_seq")?,
                rcv_wnd: bytes("tcp_sock", "rcv_wnd")?,
                rcv_wup: bytes("tcp_sock", "rcv_wup")?,
                snd_wnd: bytes("tcp_sock", "snd_wnd")?,
                max_window: bytes("tcp_sock", "max_window")?,
                mss_clamp: bytes("tcp_sock", "rx_opt.mss_clamp")?,
                tsoffset: bytes("tcp_sock", "tsoffset")?,
                options: bytes("tcp_sock", "rx_opt.tstamp_ok")?,
                bits: {
                    let first = bits("tcp_sock", "rx_opt.tstamp_ok")? / 8 * 8;
                    let bit = |name: &str| bits("tcp_sock", name).map(|bit| bit - first);
                    OptionBits {
                        timestamps: bit("rx_opt.tstamp_ok")?,
                        window_scale: bit("rx_opt.wscale_ok")?,
                        sack: bit("rx_opt.sack_ok")?,
                        send_scale: bit("rx_opt.snd_wscale")?,
                        receive_scale: bit("rx_opt.rcv_wscale")?,
                    }
                },
            },
        })
    }
}

/// Kinds of types that matter here.
mod kind {
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    /// typedef, volatile, const, restrict, type tag: stand for the type that they name.
    pub(super) const ALIASES: [u32; 5] = [8, 9, 10, 11, 18];
}

struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins; the first is void.
    starts: Vec<usize>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'a> Btf<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        const MAGIC: u32 = 0xeb9f;
        if word(bytes, 0)? & 0xffff != MAGIC {
            return None;
        }
        let header = word(bytes, 4)? as usize;
        let section = |at: usize| {
            let start = header + word(bytes, at)? as usize;
            bytes.get(start..start + word(bytes, at + 4)? as usize)
        };
        let (types, strings) = (section(8)?, section(16)?);
        let (mut starts, mut at) = (vec![0], 0);
        while at < types.len() {
            starts.push(at);
            let info = word(types, at + 4)?;
            let members = (info & 0xffff) as usize;
            at += 12
                + match info >> 24 & 31 {
                    2 | 7..=12 | 16 | 18 => 0,
                    1 | 14 | 17 => 4,
                    3 => 12,
                    4 | 5 | 15 | 19 => 12 * members,
                    6 | 13 => 8 * members,
                    _ => return None,
                };
        }
        Some(Self { types, strings, starts })
    }

    fn name(&self, at: u32) -> &[u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        rest.split(|b| *b == 0).next().unwrap_or_default()
    }

    /// Offset in bits of a member, named by a path with dots, of a struct.
    fn offset(&self, name: &str, path: &str) -> Option<u32> {
        let is_it = |id: &usize| {
            let at = self.starts[*id];
            let info = word(self.types, at + 4).unwrap_or(0);
            info >> 24 & 31 == kind::STRUCT
                && word(self.types, at).is_some_and(|n| self.name(n) == name.as_bytes())
        };
        let mut id = (1..self.starts.len()).find(is_it)?;
        let mut offset = 0;
        for part in path.split('.') {
            let (bits, inner) = self.member(id, part.as_bytes())?;
            offset += bits;
            id = inner;
        }
        Some(offset)
    }

    /// Offset and type of a member. Members of anonymous structs and unions count as the outer one's.
    fn member(&self, id: usize, name: &[u8]) -> Option<(u32, usize)> {
        let mut at = *self.starts.get(id)?;
        let mut info = word(self.types, at + 4)?;
        while kind::ALIASES.contains(&(info >> 24 & 31)) {
            at = *self.starts.get(word(self.types, at + 8)? as usize)?;
            info = word(self.types, at + 4)?;
        }
        if ![kind::STRUCT, kind::UNION].contains(&(info >> 24 & 31)) {
            return None;
        }
        let has_bitfields = info >> 31 == 1;
        (0..(info & 0xffff) as usize).find_map(|n| {
            let member = at + 12 + 12 * n;
            let here = self.name(word(self.types, member)?);
            let inner = word(self.types, member + 4)? as usize;
            let place = word(self.types, member + 8)?;
            let bits = if has_bitfields { place & 0x00ff_ffff } else { place };
            match here {
                n if n == name => Some((bits, inner)),
                b"" => self.member(inner, name).map(|(more, found)| (bits + more, found)),
                _ => None,
            }
        })
    }
}
