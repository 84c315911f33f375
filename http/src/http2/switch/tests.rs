mod limits;

use super::{flow::Share, settings::Settings, *};
use crate::{
    detect::PREFACE,
    http2::{
        frame::{flag, kind},
        hpack::{Form, literal},
    },
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
fn play(switch: &mut Switch, bytes: &[u8], away: &[u32]) {
    let (mut scratch, mut input) = (Scratch::default(), Input::new(bytes));
    while switch.client(&mut input, &mut scratch) == Step::Asked {
        if away.contains(&switch.asked.stream) {
            if switch.lines.is_empty() {
                switch.add_line(LINE, "preview".to_owned());
            }
            switch.goes_away(LINE, None, &mut scratch);
        } else {
            switch.goes_home(None, &mut scratch);
        }
    }
    switch.to_home().keep(input, 0);
}

fn home(switch: &mut Switch, bytes: &[u8]) {
    let mut input = Input::new(bytes);
    switch.home(&mut input);
    switch.to_client().keep(input, 0);
}

const HEADERS_END: u8 = flag::END_HEADERS | flag::END_STREAM;

#[test]
fn a_stream_that_cannot_go_away_comes_home_if_it_still_can() {
    let failure = Failure { status: 502, code: "unreachable", why: "it cannot be reached", falls_back: true };
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
    let failure = Failure { status: 502, code: "unreachable", why: "gone", falls_back: false };
    assert_eq!(switch.line_failed(LINE, &failure).streams, 1);
    let told = frames(switch.to_client());
    assert_eq!(told.iter().map(|it| (it.0, it.2)).collect::<Vec<_>>(), [(3, 1), (1, 3), (0, 3)]);
    assert_eq!(switch.open(), 0);
}

#[test]
fn home_disowns_no_stream_that_is_away() {
    let mut switch = Switch::new(false);
    play(&mut switch, &[ask(1, true), ask(3, true), ask(5, true)].concat(), &[5]);
    home(&mut switch, &goaway(1));
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
    home(&mut switch, &answers);
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
fn home_keeps_its_order_however_much_of_it_waits() {
    const ROOM: u32 = 1 << 20;
    let mut switch = Switch::new(false);
    let mut settings = Vec::new();
    frame::write(&mut settings, kind::SETTINGS, 0, 0, &[0, 4, 0, 0x10, 0, 0]);
    frame::window_update(&mut settings, 0, ROOM);
    play(&mut switch, &[settings, ask(1, true), ask(3, true)].concat(), &[3]);
    let mut said = Vec::new();
    frame::write(&mut said, kind::SETTINGS, 0, 0, &[]);
    frame::block(&mut said, 3, 0, &[], &[0x88]);
    for _ in 0..56 {
        said.extend(data(3, frame::MOST, false));
        switch.line(LINE, &mut said.as_slice()).unwrap();
        switch.to_client().clear();
        said.clear();
    }
    // More than there is room for, and in one go more than is held before home is read no more.
    let mut body = Vec::new();
    for n in 0..40 {
        frame::write(&mut body, kind::DATA, frame::end(n == 39), 1, &[n; frame::MOST]);
    }
    home(&mut switch, &body);
    assert!(!switch.takes_home() && switch.from_home.held() > MOST_HELD);
    let mut update = Vec::new();
    frame::window_update(&mut update, 0, ROOM);
    let mut got = switch.to_client().bytes().to_vec();
    switch.to_client().clear();
    play(&mut switch, &update, &[]);
    while !switch.to_client().is_empty() {
        got.extend_from_slice(switch.to_client().bytes());
        switch.to_client().clear();
        switch.settle();
    }
    let (mut rest, mut numbers) = (got.as_slice(), Vec::new());
    while let Some(head) = frame::Walker::default().head(&mut rest) {
        let (payload, behind) = rest.split_at(head.len);
        numbers.extend_from_slice(payload);
        rest = behind;
    }
    assert_eq!(numbers.len(), 40 * frame::MOST);
    assert!(numbers.is_sorted(), "something has overtaken");
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

/// Head, padding and all that is not the fragment come in the first frame, and the block is cut into three.
fn in_parts(stream: u32, block: &[u8]) -> [Vec<u8>; 3] {
    let (first, rest) = block.split_at(2);
    let (second, third) = rest.split_at(1);
    let part = |kind, flags, part: &[u8]| {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, kind, flags, stream, part);
        bytes
    };
    [
        part(kind::HEADERS, flag::END_STREAM, first),
        part(kind::CONTINUATION, 0, second),
        part(kind::CONTINUATION, flag::END_HEADERS, third),
    ]
}

/// Two fields and an entry for the table.
const SLOW: &[u8] = &[0x82, 0x86, 0x84, 0x40, 1, b'a', 1, b'b'];

#[test]
fn a_slow_block_goes_on_as_it_comes() {
    let sent = in_parts(1, SLOW).concat();
    for cut in 0..sent.len() {
        let mut switch = Switch::new(false);
        play(&mut switch, &sent[..cut], &[]);
        assert!(switch.to_home().is_empty());
        let has_begun = cut >= frame::HEAD; // whose it is is not known before
        assert_eq!(switch.held_block(), has_begun.then_some(1));
        switch.block_is_slow();
        let whole = if has_begun { cut } else { 0 };
        // A head of a frame goes on when it is whole.
        let shown = switch.to_home().bytes().to_vec();
        assert!(sent.starts_with(&shown) && shown.len() + frame::HEAD > whole, "{cut}: {shown:?}");
        assert_eq!((switch.held_block(), switch.open()), (None, usize::from(has_begun)));
        switch.to_home().clear();
        // It stays at home whoever it is for, and it is told that it was late.
        let (mut scratch, mut late) = (Scratch::default(), 0);
        for byte in &sent[cut..] {
            let mut input = Input::new(std::slice::from_ref(byte));
            loop {
                match switch.client(&mut input, &mut scratch) {
                    Step::Done => break,
                    Step::Asked => switch.goes_home(None, &mut scratch),
                    Step::Late => late += 1,
                }
            }
            switch.to_home().keep(input, 0);
        }
        assert_eq!([&shown, switch.to_home().bytes()].concat(), sent);
        assert_eq!((late, scratch.fields().get(b"a")), (usize::from(has_begun), Some(&b"b"[..])));
        switch.to_home().clear();
        home(&mut switch, &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]);
        assert_eq!(switch.open(), 0, "both have said everything");
        // The table is what it would have been.
        play(&mut switch, &in_parts(3, &[0x82, 0x86, 0x84, 0xbe]).concat(), &[3]);
        assert_eq!(switch.away(), 1);
    }
}

#[test]
fn a_slow_block_is_shown_to_home_where_it_has_to_be_encoded_anew() {
    let mut switch = Switch::new(false);
    let first = [0x82, 0x86, 0x84, 0x40, 1, b'k', 1, b'v'];
    play(&mut switch, &in_parts(1, &first).concat(), &[1]);
    // The entry is named by its index, which home does not have.
    let parts = in_parts(3, &[0x82, 0x86, 0x84, 0xbe]);
    play(&mut switch, &parts[..2].concat(), &[]);
    assert!(switch.to_home().is_empty());
    switch.block_is_slow();
    assert_eq!(frames(switch.to_home()), [(kind::HEADERS, flag::END_STREAM, 3, 0)]);
    let mut scratch = Scratch::default();
    let mut input = Input::new(&parts[2]);
    assert_eq!(switch.client(&mut input, &mut scratch), Step::Late);
    assert_eq!(switch.client(&mut input, &mut scratch), Step::Done);
    let mut expected = Vec::new();
    frame::continuation(&mut expected, 3, &[0x82, 0x86, 0x84, 0x40, 1, b'k', 1, b'v']);
    assert_eq!(switch.to_home().bytes(), expected);
    assert_eq!((switch.open(), switch.away()), (2, 1));
}

#[test]
fn a_sign_of_life_that_others_gave_rise_to_is_not_asked_of_home() {
    let ping = |flags| {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, kind::PING, flags, 0, b"12345678");
        bytes
    };
    let head = |stream| {
        let mut bytes = Vec::new();
        frame::block(&mut bytes, stream, 0, &[], &[0x88]);
        bytes
    };
    let mut switch = Switch::new(false);
    play(&mut switch, &[ask(1, true), ask(3, true), ping(0)].concat(), &[3]);
    assert!(switch.to_home().bytes().ends_with(&ping(0)), "nobody has said anything");
    let mut settings = Vec::new();
    frame::write(&mut settings, kind::SETTINGS, 0, 0, &[]);
    switch.line(LINE, &mut &*[settings, head(3)].concat()).unwrap();
    for _ in 0..2 {
        switch.line(LINE, &mut &*data(3, 10, false)).unwrap();
        frames(switch.to_client());
        frames(switch.to_home());
        play(&mut switch, &ping(0), &[]);
        assert!(switch.to_home().is_empty());
        assert_eq!(switch.to_client().bytes(), ping(flag::ACK));
        switch.to_client().clear();
        play(&mut switch, &ping(0), &[]);
        assert_eq!(switch.to_home().bytes(), ping(0), "one for what came, and the next is home's");
    }
    switch.line(LINE, &mut &*data(3, 10, false)).unwrap();
    home(&mut switch, &head(1));
    frames(switch.to_home());
    play(&mut switch, &ping(0), &[]);
    assert_eq!(switch.to_home().bytes(), ping(0), "home has spoken since");
}

#[test]
fn heads_too_long_to_decide_are_decoded_one_after_another() {
    let mut sent = Vec::new();
    for stream in [1, 3, 5, 7] {
        let mut block = vec![0x82, 0x86, 0x84];
        for n in 0..3 {
            let (name, value) = (format!("x-{n}"), vec![b'a'; 100_000]);
            literal(&mut block, Form::Plain, name.as_bytes(), &value);
        }
        frame::block(&mut sent, stream, flag::END_STREAM, &[], &block);
    }
    for cut in [1000, 7919, 16_384, 65_536] {
        let (mut switch, mut scratch) = (Switch::new(false), Scratch::default());
        let mut asked = 0;
        for part in sent.chunks(cut) {
            let mut input = Input::new(part);
            while switch.client(&mut input, &mut scratch) == Step::Asked {
                assert!(scratch.fields().is_long());
                asked += 1;
                switch.goes_home(None, &mut scratch);
            }
            switch.to_home().keep(input, 0);
        }
        assert_eq!((asked, switch.to_home().bytes() == sent), (4, true), "cut by {cut}");
    }
}

#[test]
fn behind_an_upgrade_the_first_stream_is_home_s() {
    let mut switch = Switch::upgraded(true, &[0, 4, 0, 0, 0, 9], Some(mark("x-of", b"preview")));
    assert_eq!((switch.settings.window(), switch.open()), (9, 1));
    let preface = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0], &ask(3, true)].concat();
    for bytes in preface.chunks(5) {
        play(&mut switch, bytes, &[]);
    }
    assert_eq!(switch.to_home().bytes(), preface);
    // Nothing comes before home's first frame.
    switch.drain();
    switch.settle();
    assert!(switch.to_client().is_empty());
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut answer = Vec::new();
    frame::block(&mut answer, 1, frame::end(true), &[], &[0x88]);
    home(&mut switch, &settings);
    home(&mut switch, &answer);
    let said = switch.to_client().bytes();
    assert!(said.starts_with(&settings) && said.windows(7).any(|it| it == b"preview"), "{said:?}");
    assert_eq!(switch.open(), 1);
}

#[test]
fn what_is_no_preface_is_home_s_as_it_is() {
    let mut switch = Switch::upgraded(false, &[], None);
    play(&mut switch, b"PRI * HTTP/1.1", &[]);
    play(&mut switch, &[0; 100_000], &[]);
    assert_eq!(switch.to_home().len(), 14 + 100_000);
}
