//! The scanner in the kernel against `byway-http`: what it lets pass as a request without a key, the agent would have sent
//! to the app, and would have found to be as long. It runs as it is, on one packet at a time.

use std::{
    cell::RefCell,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use aya::maps::{MapData, RingBuf};
use byway_abi::{
    DialKey, MAPPED, MAX_WORKERS,
    direct::{Conn, flag, state},
    maps,
};
use byway_api::Match;
use byway_http::{Body, Decision, HeadScan, RequestKind, Route, RouteTable, header_space, parse_request};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use super::{
    filter::Filters,
    judge::{Judgement, judge},
};
use crate::{
    kernel::{
        Node, Template, Way,
        sys::{RawMap, SK_BUFF, monotonic_ns, run_on_packet},
    },
    snapshot::Routes,
    tables::Tables,
};

const NS: u64 = 7;
const SEQ: u32 = 0xffff_ff00; // sequence numbers go round
const KEY: DialKey = DialKey {
    ns: NS,
    remote: [0, 0, MAPPED, u32::from_ne_bytes([10, 0, 0, 1])],
    local: [0, 0, MAPPED, u32::from_ne_bytes([10, 0, 0, 2])],
    remote_port: 40_000,
    local_port: 8080,
};

/// The programs, without an interface.
struct Kernel {
    /// In the order that a packet meets them.
    programs: [OwnedFd; 2],
    conns: RawMap<DialKey, Conn>,
    heartbeat: RawMap<u32, u64>,
    /// A full one would have packets pass.
    events: RefCell<RingBuf<MapData>>,
    routes: Routes,
    _node: Node,
}

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A request for the app: its bytes, and whether it is a HEAD.
    Passed(u32, bool),
    Held,
    Opaque,
}

impl Kernel {
    fn load() -> Self {
        let vmlinux = aya::Btf::from_sys_fs().unwrap();
        let mut node = Node::open(&[], Some(64), &vmlinux).unwrap();
        let maps = node.maps().unwrap();
        let steps = node.load_direct().unwrap();
        let template = Template::new(node.maps().unwrap(), 0, &node.offsets).unwrap();
        let fd = |name: &str| maps[name].try_clone().unwrap();
        let mut routes = Routes::default();
        routes.table = table();
        let tables = Arc::new(Tables::open(&maps).unwrap());
        Filters::default().set(NS, &routes, &tables).unwrap();
        Self {
            programs: [template.direct(Way::In, NS, 0, 14).unwrap(), steps.judge],
            conns: RawMap::new(fd(maps::CONNS)).unwrap(),
            heartbeat: RawMap::new(fd(maps::HEARTBEAT)).unwrap(),
            events: RefCell::new(node.events().unwrap()),
            routes,
            _node: node,
        }
    }

    fn send(&self, payload: &[u8], is_first: bool) -> Outcome {
        let conn = Conn {
            state: state::DIRECT,
            flags: flag::ALIVE,
            next: SEQ,
            requests: u32::from(!is_first),
            ..Conn::default()
        };
        self.conns.update(&KEY, &conn).unwrap();
        self.heartbeat.update(&MAX_WORKERS, &monotonic_ns()).unwrap();
        let (packet, mut context) = (packet(payload), [0; SK_BUFF]);
        for program in &self.programs {
            run_on_packet(program.as_fd(), &packet, &mut context).unwrap();
        }
        while self.events.borrow_mut().next().is_some() {}
        let now = self.conns.lookup(&KEY).unwrap().unwrap();
        match now.state {
            state::DIRECT => {
                assert_eq!(now.requests, conn.requests + 1, "neither passed nor held: {now:?}");
                Outcome::Passed(now.next.wrapping_sub(SEQ), now.flags & flag::HEAD != 0)
            }
            state::HELD => Outcome::Held,
            _ => Outcome::Opaque,
        }
    }

    /// Whether the packet passed; fails where `byway-http` says otherwise.
    fn agrees(&self, payload: &[u8], is_first: bool) -> bool {
        let shown = || String::from_utf8_lossy(payload).into_owned();
        match self.send(payload, is_first) {
            Outcome::Held => false,
            Outcome::Opaque => {
                assert!(is_first, "only the first bytes tell: {:?}", shown());
                let judged = judge(payload, true, &self.routes);
                assert!(matches!(judged, Judgement::Opaque(_)), "may be HTTP: {:?}", shown());
                false
            }
            Outcome::Passed(total, is_head) => {
                let len = HeadScan::default().end(payload);
                let Ok(Some(len)) = len else { panic!("{len:?}: {:?}", shown()) };
                let mut space = header_space();
                let head = parse_request(&payload[..len], &mut space);
                let head = head.unwrap_or_else(|doubt| panic!("{doubt:?}: {:?}", shown()));
                let body = match head.body {
                    Body::Empty => 0,
                    Body::Length(length) => length,
                    other => panic!("{other:?}: {:?}", shown()),
                };
                assert_eq!(u64::from(total), len as u64 + body, "{:?}", shown());
                let kind = if is_head { RequestKind::Head } else { RequestKind::Other };
                assert_eq!(head.kind, kind, "{:?}", shown());
                let decision = self.routes.table.decide(&head, None).decision;
                assert!(matches!(decision, Decision::App(_)), "{decision:?}: {:?}", shown());
                true
            }
        }
    }
}

fn table() -> RouteTable {
    let route = |key: &str, json: &str| {
        let key = key.parse().unwrap();
        let matcher = (!json.is_empty())
            .then(|| serde_json::from_str::<Match>(json).unwrap().compile(&key, true).unwrap());
        Route { key, matcher }
    };
    RouteTable::new(vec![
        route("pr-1", ""),
        route("x", ""),
        route(&"k".repeat(63), ""),
        route("team-a", r#"{"header": {"name": "X-Team", "exact": "{{ key }}"}}"#),
        route("via-1", r#"{"header": {"name": "via", "regex": ".*{{ key }}.*"}}"#),
    ])
}

/// Ethernet, IPv4, TCP.
fn packet(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 54];
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes[14] = 0x45;
    bytes[16..18].copy_from_slice(&(40 + payload.len() as u16).to_be_bytes());
    bytes[23] = 6;
    bytes[26..30].copy_from_slice(&[10, 0, 0, 1]);
    bytes[30..34].copy_from_slice(&[10, 0, 0, 2]);
    bytes[34..36].copy_from_slice(&40_000_u16.to_be_bytes());
    bytes[36..38].copy_from_slice(&8080_u16.to_be_bytes());
    bytes[38..42].copy_from_slice(&SEQ.to_be_bytes());
    bytes[46] = 0x50;
    bytes[47] = 0x18;
    bytes.extend_from_slice(payload);
    bytes
}

fn kernel() -> Option<Kernel> {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "needs root");
        eprintln!("skipped: needs root");
        return None;
    }
    // What one program leaves for the next is of the processor.
    let mut one = CpuSet::new();
    one.set(0).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    Some(Kernel::load())
}

/// Packets of a test run are no longer than a page, with what the kernel keeps there.
const LONGEST: usize = 3000;

#[test]
fn usual_requests_pass_and_keyed_ones_are_held() {
    let Some(kernel) = kernel() else { return };
    let passes = |head: &str| kernel.send(head.as_bytes(), false);
    let get = "GET /a/b?c=d HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x/1.0 (y; z)\r\nAccept: */*\r\n";
    let len = |head: &str| head.len() as u32;
    let whole = format!("{get}\r\n");
    assert_eq!(passes(&whole), Outcome::Passed(len(&whole), false));
    let post = format!("{get}Content-Length: 300\r\n\r\n");
    assert_eq!(passes(&post), Outcome::Passed(len(&post) + 300, false));
    let head = whole.replace("GET", "HEAD");
    assert_eq!(passes(&head), Outcome::Passed(len(&head), true));
    let long = format!("{get}Cookie: {}; baby=b\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", "a=b; ".repeat(300));
    assert_eq!(passes(&long), Outcome::Passed(len(&long), false));
    for keyed in [
        "x-byway-key: pr-1",
        "X-BYWAY-KEY:pr-1",
        "cookie: a=b; byway-key=x",
        "Cookie: byway-key=\"pr-1\"",
        "baggage: byway-key = pr-1 ;p=q, a=b",
        "baggage: byway-key=pr%2d1",
        "X-Team: team-a",
        "Via: 1.1 via-1",
    ] {
        assert_eq!(passes(&format!("{get}{keyed}\r\n\r\n")), Outcome::Held, "{keyed}");
    }
    let longest = format!("{get}x-byway-key: {}\r\n\r\n", "k".repeat(63));
    assert_eq!(passes(&longest), Outcome::Held);
    for other in ["x-byway-key: pr-12", "x-byway-key: pr-", "cookie: a=pr-1", "team: team-a", "x-other: pr-1"]
    {
        let head = format!("{get}{other}\r\n\r\n");
        assert_eq!(passes(&head), Outcome::Passed(len(&head), false), "{other}");
    }
    for doubtful in
        ["Content_Length: 5", "Transfer-Encoding: chunked", "content-length: 5, 5", "a b: c", ": x"]
    {
        assert_eq!(passes(&format!("{get}{doubtful}\r\n\r\n")), Outcome::Held, "{doubtful}");
    }
}

#[test]
fn it_agrees_on_the_seeds_of_the_fuzz_target_however_they_are_cut() {
    let Some(kernel) = kernel() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../http/fuzz/corpus/framing");
    let mut passed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let seed = &bytes[1..bytes.len().min(LONGEST)]; // the first byte is for the fuzz target
        for cut in 1..=seed.len() {
            for is_first in [true, false] {
                passed += u32::from(kernel.agrees(&seed[..cut], is_first));
            }
        }
    }
    assert!(passed > 20, "{passed}");
}

#[test]
fn it_agrees_on_generated_heads() {
    let Some(kernel) = kernel() else { return };
    let mut rng = Rng(1);
    let (mut passed, count) = (0, 60_000);
    for n in 0..count {
        let mut head = generate(&mut rng);
        // Half of them are damaged.
        for _ in 0..rng.below(2) * (1 + rng.below(3)) {
            let (at, piece) = (rng.below(head.len() + 1), PIECES[rng.below(PIECES.len())]);
            let until = (at + rng.below(3)).min(head.len());
            head.splice(at..until, piece.iter().copied());
        }
        head.truncate(LONGEST);
        if !head.is_empty() {
            passed += u32::from(kernel.agrees(&head, n % 2 == 0));
        }
    }
    // Enough of them tell something.
    assert!(passed > count / 5, "{passed} of {count} passed");
}

const PIECES: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"9",
    b"+",
    b"-",
    b"_",
    b"%",
    b"\"",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"#",
    b"?",
    b"/",
    b"*",
    b"\r\n\r\n",
    b"\r\n ",
    b"<",
    b"`",
    b"HTTP/1.1",
    b"GET ",
    b"chunked",
    b"pr-1",
    b"byway-key=",
    b"~",
    b"\xff~",
    b"\x1f",
    b"content-length: 1\r\n",
];

fn generate(rng: &mut Rng) -> Vec<u8> {
    const METHODS: &[&str] = &[
        "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "get", "PROPFIND", "G",
        "M-SEARCH",
    ];
    const TARGETS: &[&str] = &[
        "/",
        "/a/b?c=d&e=%20",
        "/~u/{x}|y",
        "*",
        "http://a/b",
        "a:80",
        "/\u{e9}",
        "/a#b",
        "/a\"b",
        "/<>",
        "/;a=b,c",
        "/!$&'()*+,;=:@",
    ];
    const VERSIONS: &[&str] = &["HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1"];
    const NAMES: &[&str] = &[
        "Host",
        "User-Agent",
        "Accept",
        "X-B3-TraceId",
        "x_under",
        "Content-Length",
        "content-length",
        "Content_Length",
        "Content-Type",
        "Content-Encoding",
        "Transfer-Encoding",
        "transfer_encoding",
        "Upgrade",
        "Upgrade-Insecure-Requests",
        "Connection",
        "Expect",
        "Cookie",
        "baggage",
        "x-byway-key",
        "x-team",
        "via",
        "te",
        "a",
        "a.b",
        "a!b",
        "x-a-header-name-that-is-longer-than-those-that-are-looked-at-in-one-go-for-sure",
    ];
    const VALUES: &[&str] = &[
        "a",
        "",
        "5",
        "0",
        "05",
        "1234567890",
        "99999999999",
        "4294967295",
        "2130706432",
        "chunked",
        "gzip, chunked",
        "close",
        "upgrade",
        "websocket",
        "100-continue",
        "pr-1",
        "pr-12",
        "x",
        "team-a",
        "1.1 via-1",
        "a=b; byway-key=pr-1",
        "byway-key=pr%2D1",
        "a=b,byway-key=pr-1;p",
        "text/html; q=0.9, */*",
        "\u{e9}\u{e9}",
        "by the way",
        "%41",
    ];
    let mut one_of = |from: &[&'static str]| from[rng.below(from.len())];
    let usual = |it: &[&'static str], n: usize| it[n % it.len()];
    let mut head = match one_of(&["usual", "usual", "odd"]) {
        "usual" => format!("{} {} HTTP/1.1\r\n", usual(METHODS, 0), usual(TARGETS, 1)),
        _ => format!("{} {} {}\r\n", one_of(METHODS), one_of(TARGETS), one_of(VERSIONS)),
    };
    let lines = rng.below(12);
    for _ in 0..lines {
        let mut one_of = |from: &[&'static str]| from[rng.below(from.len())];
        let is_odd = one_of(&["odd", "", "", "", "", "", "", "", "", ""]) == "odd";
        let (names, values, blanks): (&[_], &[_], &[_]) = if is_odd {
            (NAMES, VALUES, &[" ", "", "\t", "  "])
        } else {
            (
                &["Host", "User-Agent", "X-B3-TraceId", "Cookie", "x-byway-key", "via", "Te"],
                &["a", "pr-12", "a=b; c"],
                &[" ", ""],
            )
        };
        head += &format!("{}:{}{}\r\n", one_of(names), one_of(blanks), one_of(values));
    }
    if rng.below(50) == 0 {
        head += &"x: y\r\n".repeat(120 + rng.below(20));
    }
    if rng.below(10) == 0 {
        head += &format!("x-long: {}\r\n", "z".repeat(rng.below(1800)));
    }
    head += "\r\n";
    head.into_bytes()
}

/// The same numbers each time (splitmix64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}
