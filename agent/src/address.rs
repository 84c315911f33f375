//! Addresses as the maps have them: IPv4 as IPv6, words as they stand in memory.

use std::net::{IpAddr, Ipv6Addr};

use byway_abi::Addr;

/// An address as the maps have it.
pub(crate) fn mapped(ip: IpAddr) -> Addr {
    let octets = match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let mut words = octets.as_chunks::<4>().0.iter();
    std::array::from_fn(|_| words.next().map_or(0, |w| u32::from_ne_bytes(*w)))
}

/// The other way round.
pub(crate) fn unmapped(addr: Addr) -> IpAddr {
    let mut octets = [0; 16];
    for (to, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(addr) {
        *to = word.to_ne_bytes();
    }
    IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were() {
        for ip in ["10.1.2.3", "fd00::1"].map(|ip| ip.parse::<IpAddr>().unwrap()) {
            assert_eq!(unmapped(mapped(ip)), ip);
        }
    }
}
