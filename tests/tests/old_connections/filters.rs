//! Filters of others at the same hook run as if the observer were not there: it only watches.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use aya::maps::{HashMap, RingBuf};
use aya::programs::tc::{NlOptions, TcAttachOptions, qdisc_add_clsact};
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use aya::{Ebpf, EbpfLoader};
use byway_tests::{Http, Pod, Stage, needs_root};

use super::{BOTH, KEYED, wait_observed, wait_old};

/// Another observer, with maps of its own, as the filter of somebody else: it sees the packets of one connection.
struct Other(Ebpf);

impl Other {
    fn attach(pod: &Pod, how: TcAttachOptions, connection: (SocketAddr, SocketAddr)) -> Self {
        let object = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/ebpf/byway.o"));
        let mut ebpf = EbpfLoader::new().load_file(object).unwrap();
        let program: &mut SchedClassifier = ebpf.program_mut("byway_observe").unwrap().try_into().unwrap();
        program.load().unwrap();
        pod.run(|| {
            let _ = qdisc_add_clsact("eth0"); // it may be there
            program.attach_with_options("eth0", TcAttachType::Ingress, how).map(drop)
        })
        .unwrap();
        let mut old: HashMap<_, [u8; 48], u32> = ebpf.map_mut("OLD").unwrap().try_into().unwrap();
        old.insert(key(connection), 0, 0).unwrap();
        Self(ebpf)
    }

    /// Packets since the last time.
    fn seen(&mut self) -> usize {
        let mut packets = RingBuf::try_from(self.0.map_mut("PACKETS").unwrap()).unwrap();
        let mut seen = 0;
        while packets.next().is_some() {
            seen += 1;
        }
        seen
    }
}

/// The bytes of a `DialKey` of no namespace.
fn key((remote, local): (SocketAddr, SocketAddr)) -> [u8; 48] {
    let mut key = [0; 48];
    for (at, address) in [(8, remote), (24, local)] {
        let IpAddr::V4(ip) = address.ip() else { panic!("IPv4 only") };
        key[at..at + 16].copy_from_slice(&ip.to_ipv6_mapped().octets());
    }
    key[40..44].copy_from_slice(&u32::from(remote.port()).to_ne_bytes());
    key[44..].copy_from_slice(&u32::from(local.port()).to_ne_bytes());
    key
}

#[test]
fn filters_before_and_behind_it_see_every_packet() {
    if needs_root() {
        return;
    }
    for args in BOTH {
        let stage = Stage::new().unwrap();
        let _app = stage.start_app().unwrap();
        let to = stage.addresses()[0];
        let stream = stage.client.connect(to).unwrap();
        let connection = (stream.local_addr().unwrap(), to);
        let how = |first: bool| {
            if args.is_empty() {
                TcAttachOptions::TcxOrder(if first { LinkOrder::first() } else { LinkOrder::last() })
            } else {
                let priority = if first { 1 } else { 65_000 };
                TcAttachOptions::Netlink(NlOptions { priority, ..NlOptions::default() })
            }
        };
        let agent = stage.agent().args(args).start(&stage.routes()).unwrap();
        wait_old(&agent, "open", 1);
        wait_observed(&agent, true);
        let mut before = Other::attach(&stage.app, how(true), connection);
        let mut behind = Other::attach(&stage.app, how(false), connection);
        let mut http = Http::new(stream);
        for _ in 0..5 {
            assert!(http.get("/", &KEYED).unwrap().text().starts_with("STABLE"));
        }
        wait_old(&agent, "missed", 5);
        assert_eq!((before.seen(), behind.seen()), (5, 5), "{args:?}");
        drop(http);
        wait_observed(&agent, false);
    }
}
