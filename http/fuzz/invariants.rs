//! What must hold for whatever bytes a connection carries. One body for two callers: the fuzz target, and a
//! test that runs it for a fixed number of inputs.

use std::sync::LazyLock;

use byway_api::{Key, Match};
use byway_http::{
    AnswerStart, Body, BodyScan, Decision, Detected, Doubt, HeadScan, RequestKind, Route, RouteTable,
    answer_start, detect, header_space, parse_request, parse_response,
};

/// What was made of a stream: the messages, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transcript {
    /// Complete messages, or ones that end with the connection.
    pub(crate) messages: Vec<Message>,
    /// Why reading stopped; `None` when bytes were wanted, or the rest belongs to no message.
    pub(crate) doubt: Option<Doubt>,
}

/// A message and its decoded payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Method and target, or status.
    pub(crate) line: (String, Vec<u8>),
    /// Where it begins in the stream, and where its body does.
    pub(crate) start: usize,
    pub(crate) body: usize,
    /// The payload without its framing.
    pub(crate) payload: Vec<u8>,
    /// Bytes of the stream up to the end of the message.
    pub(crate) end: usize,
    /// Nothing may follow, or what follows is no HTTP.
    pub(crate) last: bool,
}

/// Fails by panic.
pub(crate) fn check(input: &[u8]) {
    let [cuts, bytes @ ..] = input else { return };
    let cuts = Cuts(u64::from(*cuts) | 1);
    detection_is_final(bytes);
    assert_eq!(requests(bytes, None), requests(bytes, Some(cuts)), "however requests are cut");
    for kind in
        [RequestKind::Other, RequestKind::Head, RequestKind::Connect, RequestKind::Upgrade { head: false }]
    {
        assert_eq!(
            responses(bytes, kind, None),
            responses(bytes, kind, Some(cuts)),
            "however responses are cut"
        );
    }
}

/// Reads requests one after the other, in one piece or cut.
pub(crate) fn requests(bytes: &[u8], cuts: Option<Cuts>) -> Transcript {
    let (scan, body): (_, fn(Body) -> BodyScan) = (HeadScan::default(), BodyScan::new);
    read(bytes, cuts, (scan, body), |head| {
        let mut space = header_space();
        let head = parse_request(head, &mut space)?;
        assert!(matches!(head.body, Body::Empty | Body::Length(_) | Body::Chunked));
        assert!(head.method.len() + head.target.len() + 13 <= byway_http::MAX_HEAD);
        stolen_only_with_the_key(&head);
        let last =
            !head.keep_alive || matches!(head.kind, RequestKind::Connect | RequestKind::Upgrade { .. });
        Ok((head.method.to_owned(), head.target.to_vec(), head.body, last))
    })
}

/// Reads responses to a request of `kind`, the interim ones too.
pub(crate) fn responses(bytes: &[u8], kind: RequestKind, cuts: Option<Cuts>) -> Transcript {
    let (scan, body): (_, fn(Body) -> BodyScan) = (HeadScan::of_answers(), BodyScan::of_answer);
    read(bytes, cuts, (scan, body), |head| {
        assert!(head.len() <= byway_http::MAX_ANSWER_HEAD);
        let it = parse_response(head, kind)?;
        assert_eq!(answer_start(head), AnswerStart::Line(it.status_line), "what is framed is an answer");
        Ok((it.status.to_string(), Vec::new(), it.body, !it.interim))
    })
}

type Head = (String, Vec<u8>, Body, bool);
type Scans = (HeadScan, fn(Body) -> BodyScan);

fn read(
    bytes: &[u8],
    cuts: Option<Cuts>,
    scans: Scans,
    parse: impl Fn(&[u8]) -> Result<Head, Doubt>,
) -> Transcript {
    let mut transcript = Transcript { messages: Vec::new(), doubt: None };
    let mut at = 0;
    while at < bytes.len() && transcript.messages.last().is_none_or(|it| !it.last) {
        match message(bytes, at, cuts, scans, &parse) {
            Ok(Some(message)) => {
                assert!(message.end > at && message.end <= bytes.len());
                at = message.end;
                transcript.messages.push(message);
            }
            Ok(None) => break,
            Err(doubt) => {
                transcript.doubt = Some(doubt);
                break;
            }
        }
    }
    transcript
}

fn message(
    bytes: &[u8],
    start: usize,
    cuts: Option<Cuts>,
    (mut scan, follow): Scans,
    parse: &impl Fn(&[u8]) -> Result<Head, Doubt>,
) -> Result<Option<Message>, Doubt> {
    let mut body: Option<(BodyScan, Message, bool)> = None;
    let mut at = start;
    for seen in Cuts::ends(cuts, start, bytes.len()) {
        if body.is_none()
            && let Some(len) = scan.end(&bytes[start..seen])?
        {
            at = start + len;
            let (method, target, framing, last) = parse(&bytes[start..at])?;
            let endless = matches!(framing, Body::UntilClose | Body::Tunnel);
            let line = (method, target);
            let message = Message { line, start, body: at, payload: Vec::new(), end: at, last };
            body = Some((follow(framing), message, endless));
        }
        let Some((scan, message, _)) = &mut body else {
            continue;
        };
        while at < seen && !scan.done() {
            let run = usize::try_from(scan.opaque_run()).unwrap_or(usize::MAX).min(seen - at);
            message.payload.extend_from_slice(&bytes[at..at + run]);
            // One byte at a time where it is framing, so that payload is told from it.
            at += scan.advance(&bytes[at..at + run.max(1)])?;
        }
        if scan.done() {
            break;
        }
    }
    Ok(body.filter(|(scan, _, endless)| scan.done() || *endless).map(|(_, message, endless)| Message {
        end: at,
        last: message.last || endless,
        ..message
    }))
}

fn detection_is_final(bytes: &[u8]) {
    let mut decided = Detected::NeedMore;
    for end in 0..=bytes.len().min(64) {
        let now = detect(&bytes[..end]);
        assert!(decided == Detected::NeedMore || decided == now, "{decided:?} became {now:?}");
        decided = now;
    }
}

static KEY: LazyLock<Key> = LazyLock::new(|| "pr-1".parse().expect("a key"));

static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let filter: Match = serde_json::from_str(r#"{"headerFilter": "{{ key }}|.*"}"#).expect("a match");
    let matcher = Some(filter.compile(&KEY, false).expect("it compiles"));
    RouteTable::new(vec![Route { key: KEY.clone(), matcher: None }, Route { key: KEY.clone(), matcher }])
});

fn stolen_only_with_the_key(head: &byway_http::RequestHead<'_, '_>) {
    if let Decision::Preview(..) = TABLE.decide(head, None).decision {
        // A baggage value may be encoded.
        let held = |value: &[u8]| KEY.is_token_of(value) || value.contains(&b'%');
        assert!(head.headers.iter().any(|header| held(header.value)), "stolen without the key");
    }
}

/// A way to cut a stream, from a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cuts(pub(crate) u64);

impl Cuts {
    /// How much of the stream is there after each read, from behind `start` to `len`.
    fn ends(cuts: Option<Self>, start: usize, len: usize) -> impl Iterator<Item = usize> {
        let mut at = if cuts.is_some() { start } else { len - 1 };
        let mut state = cuts.map_or(1, |it| it.0);
        std::iter::from_fn(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let step = 1 + if state & 3 == 0 { state >> 8 & 63 } else { state >> 8 & 1 } as usize;
            (at < len).then(|| {
                at = (at + step).min(len);
                at
            })
        })
    }
}
