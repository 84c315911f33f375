//! Offsets of kernel structures, from the running kernel's own BTF: Rust's eBPF has no CO-RE.

use btf_rs::{Btf, Type};

/// Where the running kernel describes its types.
pub(crate) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why there are no offsets.
#[derive(Debug, thiserror::Error)]
#[error(
    "NoBtf: {0}; without kernel BTF (CONFIG_DEBUG_INFO_BTF) the agent does not steer: use a kernel that has it"
)]
pub(crate) struct NoBtf(String);

/// Offsets in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offsets {
    pub(crate) ack_backlog: u64,
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
}

impl Offsets {
    /// Reads them from [`VMLINUX`].
    pub(crate) fn read() -> Result<Self, NoBtf> {
        let btf = Btf::from_file(VMLINUX).map_err(|e| NoBtf(format!("{VMLINUX}: {e}")))?;
        let bits = |name: &str, path: &str| {
            bit_offset(&btf, name, path).ok_or_else(|| NoBtf(format!("{VMLINUX} has no {name}.{path}")))
        };
        let bytes = |name: &str, path: &str| bits(name, path).map(|bits| u64::from(bits / 8));
        let v6only = bits("sock", "__sk_common.skc_ipv6only")?;
        Ok(Self {
            ack_backlog: bytes("sock", "sk_ack_backlog")?,
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
        })
    }
}

/// Offset in bits of a member, named by a path with dots, of a struct.
fn bit_offset(btf: &Btf, name: &str, path: &str) -> Option<u32> {
    let types = btf.resolve_types_by_name(name).ok()?;
    let mut at = types.into_iter().find(|t| matches!(t, Type::Struct(_)))?;
    let mut offset = 0;
    for part in path.split('.') {
        let (bits, member) = find_member(btf, &at, part)?;
        offset += bits;
        at = member;
    }
    Some(offset)
}

/// Members of anonymous structs and unions count as the outer one's.
fn find_member(btf: &Btf, within: &Type, name: &str) -> Option<(u32, Type)> {
    let (Type::Struct(s) | Type::Union(s)) = within else { return None };
    s.members.iter().find_map(|m| {
        let mut kind = btf.resolve_chained_type(m).ok()?;
        while let Type::Typedef(_) | Type::Const(_) | Type::Volatile(_) = kind {
            kind = btf.resolve_chained_type(kind.as_btf_type()?).ok()?;
        }
        match btf.resolve_name(m).ok()?.as_str() {
            n if n == name => Some((m.bit_offset(), kind)),
            "" => find_member(btf, &kind, name).map(|(bits, inner)| (m.bit_offset() + bits, inner)),
            _ => None,
        }
    })
}
