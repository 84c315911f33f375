use super::{Btf, Offsets};

/// The fields of `struct sock_common` that userspace tools have relied on since it exists.
#[test]
fn reads_the_running_kernel() {
    let offsets = Offsets::read().expect("a kernel with BTF");
    assert_eq!(offsets.sk_family, 16, "skc_family follows two addresses, a hash and two ports");
    assert_eq!((offsets.sk_saddr4, offsets.inet_sport > offsets.sk_uid), (4, true));
    assert_eq!(offsets.mask_v6only.count_ones(), 1);
}

#[test]
fn refuses_what_is_not_btf() {
    assert!(Btf::parse(b"").is_none());
    assert!(Btf::parse(&[0; 64]).is_none());
    let mut cut = std::fs::read(super::VMLINUX).expect("a kernel with BTF");
    cut.truncate(4096);
    assert!(Btf::parse(&cut).is_none());
}
