//! The object against `byway-abi`: what the compiler for BPF made of the structs, as the object's BTF tells.

use std::collections::HashMap;

use aya_obj::{Object, btf::Btf};
use byway_abi::{
    AgentInfo, DialKey, ListenKey, Listeners, Origin, Packet, PortKey, RouteCounters, RouteRecord,
    TargetCounters, TargetRecord, direct, maps, mirror,
};

use super::OBJECT;

#[test]
fn the_structs_of_the_object_are_those_of_the_abi() {
    let object = Object::parse(OBJECT).unwrap();
    let structs = structs(object.btf.as_ref().expect("the object has BTF"));
    let expected = [
        ("AgentInfo", size_of::<AgentInfo>()),
        ("DialKey", size_of::<DialKey>()),
        ("ListenKey", size_of::<ListenKey>()),
        ("Listeners", size_of::<Listeners>()),
        ("Origin", size_of::<Origin>()),
        ("PortKey", size_of::<PortKey>()),
        ("RouteCounters", size_of::<RouteCounters>()),
        ("RouteRecord", size_of::<RouteRecord>()),
        ("TargetCounters", size_of::<TargetCounters>()),
        ("TargetRecord", size_of::<TargetRecord>()),
    ];
    let mut found = 0;
    for (name, size) in expected {
        if let Some(of_object) = structs.get(name) {
            found += 1;
            assert_eq!(*of_object as usize, size, "{name}");
        }
    }
    // Of most the compiler keeps only that there is a pointer to one: their sizes are those of the maps, below.
    assert!(found > 0, "none of the structs is in the object's BTF: {:?}", structs.keys());
}

#[test]
fn the_maps_of_the_object_are_those_of_the_abi() {
    let object = Object::parse(OBJECT).unwrap();
    let size = |name: &str| {
        let map = object.maps.get(name).unwrap_or_else(|| panic!("no map {name}"));
        (map.key_size() as usize, map.value_size() as usize)
    };
    let expected = [
        (maps::AGENT, (4, size_of::<AgentInfo>())),
        (maps::LISTENERS, (4, 4)),
        (maps::PORTS, (size_of::<PortKey>(), 4)),
        (maps::DIALS, (size_of::<DialKey>(), size_of::<Origin>())),
        (maps::OLD, (size_of::<DialKey>(), 4)),
        (maps::PACKET, (4, size_of::<Packet>())),
        (maps::LISTENING, (size_of::<ListenKey>(), size_of::<Listeners>())),
        (maps::NAMESPACES, (8, 8)),
        (maps::HEARTBEAT, (4, 8)),
        (maps::STEERED, (4, 8)),
        (maps::TARGETS, (4, size_of::<TargetRecord>())),
        (maps::ROUTES, (4, size_of::<RouteRecord>())),
        (maps::ROUTE_COUNTERS, (4, size_of::<RouteCounters>())),
        (maps::TGT_COUNTERS, (4, size_of::<TargetCounters>())),
        (maps::ORIGIN, (4, size_of::<Origin>())),
        (maps::CONNS, (size_of::<DialKey>(), size_of::<direct::Conn>())),
        (maps::ANSWERS, (size_of::<DialKey>(), size_of::<direct::Answer>())),
        (maps::KEYS, (8, 4)),
        (maps::ORIGINS, (16, 4)),
        (maps::FILTER, (4, size_of::<direct::Filter>())),
        (maps::MIRRORED, (size_of::<PortKey>(), size_of::<mirror::Mirrored>())),
        (maps::UNCOPIED, (size_of::<PortKey>(), size_of::<mirror::Uncopied>())),
        (maps::UNWANTED, (size_of::<DialKey>(), 4)),
        (maps::COPY, (4, size_of::<mirror::Copy>())),
    ];
    for (name, sizes) in expected {
        assert_eq!(size(name), sizes, "{name}");
        assert!(name.len() <= 15, "the kernel would cut {name}");
    }
}

#[test]
fn the_verifier_takes_the_programs_of_direct_connections() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let vmlinux = Btf::from_sys_fs().unwrap();
    let mut node = super::Node::open(&[], Some(64), &vmlinux).unwrap();
    let template = super::Template::new(node.maps().unwrap(), 0, &node.offsets).unwrap();
    template.control().unwrap();
    for way in [super::template::Way::In, super::template::Way::Out] {
        for link in [0, 14] {
            let begun = std::time::Instant::now();
            template.direct(way, 1, 0, link).unwrap_or_else(|e| panic!("{way:?}: {e}"));
            eprintln!("{way:?} {link}: {:?}", begun.elapsed());
        }
    }
    let begun = std::time::Instant::now();
    node.load_direct().unwrap();
    eprintln!("once per node: {:?}", begun.elapsed());
}

/// Names and sizes of all structs, read from the bytes: the kernel's Documentation/bpf/btf.rst.
fn structs(btf: &Btf) -> HashMap<String, u32> {
    const STRUCT: u32 = 4;
    let bytes = btf.to_bytes();
    let word = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().unwrap());
    // struct btf_header: magic, version, flags, hdr_len, type_off, type_len, str_off, str_len
    let [header, types, len, strings] = [4, 8, 12, 16].map(|at| word(at) as usize);
    let mut found = HashMap::new();
    let mut at = header + types;
    while at < header + types + len {
        let (name, info, size) = (word(at), word(at + 4), word(at + 8));
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        if kind == STRUCT {
            let name = &bytes[header + strings + name as usize..];
            let end = name.iter().position(|b| *b == 0).unwrap();
            found.insert(String::from_utf8_lossy(&name[..end]).into_owned(), size);
        }
        at += 12
            + match kind {
                1 | 14 | 17 => 4,              // INT, VAR, DECL_TAG
                3 => 12,                       // ARRAY
                4 | 5 | 15 | 19 => 12 * count, // STRUCT, UNION, DATASEC, ENUM64
                6 | 13 => 8 * count,           // ENUM, FUNC_PROTO
                _ => 0,
            };
    }
    found
}
