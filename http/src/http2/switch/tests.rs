use super::{client::Settings, flow::Share, *};
use crate::{
    detect::PREFACE,
    http2::frame::{flag, kind},
};

const LINE: u32 = 7;

/// A request without a body, or with one to come.
fn ask(stream: u32, ended: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::block(&mut bytes, stream, frame::end(ended), &[], &[0x82, 0x86, 0x84]);
    bytes
}

fn data(stream: u32, len: usize, ended: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, kind::DATA, frame::end(ended), stream, &vec![7; len]);
    bytes
}

fn goaway(last: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::goaway(&mut bytes, last, code::NO_ERROR);
    bytes
}

/// Kind, flags and stream of each frame, and the first number in it.
fn frames(out: &mut Out) -> Vec<(u8, u8, u32, u32)> {
    let bytes = out.bytes().to_vec();
    out.clear();
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(&bytes);
    let mut all = Vec::new();
    while let Some(head) = frame::Walker::default().head(&mut rest) {
        let (payload, behind) = rest.split_at(head.len);
        rest = behind;
        all.push((head.kind, head.flags, head.stream, frame::number(payload).unwrap_or(0)));
    }
    all
}

/// Streams of `away` go to the line, which speaks.
fn play(switch: &mut Switch, mut bytes: &[u8], away: &[u32]) {
    let mut scratch = Scratch::default();
    while switch.client(&mut bytes, &mut scratch) == Step::Asked {
        if away.contains(&switch.asked.stream) {
            if switch.lines.is_empty() {
                switch.add_line(LINE, "preview".to_owned());
            }
            switch.goes_away(LINE, None, &mut scratch);
        } else {
            switch.goes_home(None, &mut scratch);
        }
    }
}

const HEADERS_END: u8 = flag::END_HEADERS | flag::END_STREAM;

#[test]
fn a_stream_that_cannot_go_away_comes_home_if_it_still_can() {
    let failure = Failure { code: "unreachable", why: "it cannot be reached", falls_back: true };
    let mut switch = Switch::new(false);
    play(&mut switch, &[ask(1, true), ask(3, false), data(3, 10, false)].concat(), &[3]);
    assert_eq!(frames(switch.to_home()), [(1, HEADERS_END, 1, 0)]);
    assert_eq!(switch.line_failed(LINE, &failure), Unanswered { streams: 1 });
    play(&mut switch, &data(3, 5, true), &[]);
    let wanted = [(1, flag::END_HEADERS, 3, 0), (0, 0, 3, 0x0707_0707), (0, 1, 3, 0x0707_0707)];
    assert_eq!(frames(switch.to_home()), wanted);
    assert_eq!((switch.at_home, switch.away, switch.up, switch.heads), (2, 0, 0, 0));

    // Home knows a later one by now.
    play(&mut switch, &[ask(5, true), ask(7, true)].concat(), &[5]);
    switch.line_failed(LINE, &failure);
    assert_eq!(frames(switch.to_client()), [(kind::RST_STREAM, 0, 5, code::REFUSED_STREAM)]);
}

#[test]
fn a_line_that_fails_is_said_to_those_that_it_has_not_answered() {
    let mut switch = Switch::new(false);
    play(&mut switch, &[ask(1, true), ask(3, true)].concat(), &[1, 3]);
    let mut said = Vec::new();
    frame::write(&mut said, kind::SETTINGS, 0, 0, &[]);
    frame::block(&mut said, 1, 0, &[], &[0x88]);
    switch.line(LINE, &mut said.as_slice()).unwrap();
    assert_eq!(frames(switch.to_client()), [(1, flag::END_HEADERS, 1, 0)].map(|it| (it.0, it.1, it.2, 0)));
    let failure = Failure { code: "unreachable", why: "gone", falls_back: false };
    assert_eq!(switch.line_failed(LINE, &failure).streams, 1);
    let told = frames(switch.to_client());
    assert_eq!(told.iter().map(|it| (it.0, it.2)).collect::<Vec<_>>(), [(3, 1), (1, 3), (0, 3)]);
    assert_eq!(switch.open(), 0);
}

#[test]
fn home_disowns_no_stream_that_is_away() {
    let mut switch = Switch::new(false);
    play(&mut switch, &[ask(1, true), ask(3, true), ask(5, true)].concat(), &[5]);
    switch.home(&mut goaway(1).as_slice());
    let told = frames(switch.to_client());
    assert_eq!(told, [(kind::GOAWAY, 0, 0, 5), (kind::RST_STREAM, 0, 3, code::REFUSED_STREAM)]);
    // And when it ends, others go on.
    assert!(switch.home_ended());
    let told = frames(switch.to_client());
    assert_eq!(told, [(kind::RST_STREAM, 0, 1, code::INTERNAL_ERROR), (kind::GOAWAY, 0, 0, 5)]);
    assert!(!switch.is_over());
}

#[test]
fn what_was_away_is_no_business_of_home() {
    let mut switch = Switch::new(false);
    play(&mut switch, &[ask(1, true), ask(3, true)].concat(), &[3]);
    let mut late = Vec::new();
    frame::reset(&mut late, 3, 8);
    frame::window_update(&mut late, 3, 100);
    frame::reset(&mut late, 3, 8);
    late.extend(data(3, 100, true));
    frames(switch.to_home());
    play(&mut switch, &late, &[]);
    assert_eq!(frames(switch.to_home()), []);
    assert_eq!((switch.open(), switch.on_line(LINE)), (1, 0));
}

#[test]
fn a_drain_names_the_last_stream_when_the_client_has_heard_of_it() {
    let mut switch = Switch::new(false);
    play(&mut switch, &ask(1, true), &[]);
    switch.drain();
    let told = frames(switch.to_client());
    assert_eq!(told.iter().map(|it| (it.0, it.3)).next(), Some((kind::GOAWAY, 0x7fff_ffff)));
    assert_eq!(told[1].0, kind::PING);
    // Sent before it heard.
    play(&mut switch, &ask(3, true), &[]);
    let mut heard = Vec::new();
    frame::write(&mut heard, kind::PING, flag::ACK, 0, b"by\xfaw\xe1y\x0d\x01");
    frames(switch.to_home());
    play(&mut switch, &[heard, ask(5, true)].concat(), &[]);
    assert_eq!(frames(switch.to_home()), []);
    let told = frames(switch.to_client());
    assert_eq!(told, [(kind::GOAWAY, 0, 0, 3), (kind::RST_STREAM, 0, 5, code::REFUSED_STREAM)]);
    let mut answers = Vec::new();
    frame::block(&mut answers, 1, flag::END_STREAM, &[], &[0x88]);
    frame::block(&mut answers, 3, flag::END_STREAM, &[], &[0x88]);
    switch.home(&mut answers.as_slice());
    assert!(!switch.is_over(), "the answers have not been taken");
    frames(switch.to_client());
    assert!(switch.is_over());
}

#[test]
fn room_is_shared_in_proportion() {
    let mut share = Share::default();
    assert!(share.home_sends(30_000));
    share.home_goes_on(30_000);
    share.others_send(10_000);
    assert_eq!(share.for_home(), 25_535);
    assert_eq!(share.for_others(true), 25_535 - 65_535 / 4);
    // Three of four bytes were home's.
    assert_eq!(share.grow(20_000, false), 15_000);
    assert_eq!(share.grow(20_000, false), 15_000);
    // All is paid back, and what comes beyond is home's.
    assert_eq!(share.grow(5000, false), 5000);
    // Others wait: half of it is kept for them, for as long as they do.
    share.others_send(10);
    assert_eq!(share.grow(1010, true), 500);
    assert_eq!((share.release(), share.release()), (500, 0));
}

#[test]
fn home_may_send_what_it_believes_and_no_more() {
    let mut share = Share::default();
    share.others_send(60_000);
    assert!(!share.home_sends(10_000), "there is no room");
    assert!(share.home_sends(60_000), "it breaks the rules, and that is for the client to say");
}

#[test]
fn a_line_is_told_what_is_its_business() {
    let mut settings = Settings::default();
    for (id, value) in [(1, 65_536), (2, 1), (4, 70_000), (5, 1 << 20), (6, 100), (9, 1)] {
        settings.set(id, value);
    }
    let payload = settings.for_line();
    let told: Vec<(u16, u32)> = frame::settings(&payload).collect();
    assert_eq!(told, [(2, 0), (4, 70_000), (6, 100), (9, 1)]);
}

#[test]
fn what_has_been_taken_is_not_kept() {
    let mut out = Out::default();
    for _ in 0..10_000 {
        out.bytes.extend_from_slice(&[7; 1000]);
        if out.len() > 2000 {
            out.advance(1000); // never all of it
        }
        assert!(out.bytes.len() < 100_000, "{}", out.bytes.len());
    }
}
