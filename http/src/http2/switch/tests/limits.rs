//! What may wait, for whom, and what comes of it.

use super::*;

/// What a server says first, and the head of an answer on a stream.
fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    settings.iter().for_each(|(id, value)| frame::add_setting(&mut payload, *id, *value));
    frame::write(&mut bytes, kind::SETTINGS, 0, 0, &payload);
    bytes
}

fn head(stream: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::block(&mut bytes, stream, 0, &[], &[0x88]);
    bytes
}

fn update(stream: u32, room: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::window_update(&mut bytes, stream, room);
    bytes
}

fn line(switch: &mut Switch, bytes: &[u8]) {
    let mut rest = bytes;
    switch.line(LINE, &mut rest).unwrap();
    assert!(rest.is_empty());
}

/// What the line has to be sent, which it takes.
fn told(switch: &mut Switch) -> Vec<(u8, u8, u32, u32)> {
    let told = frames(switch.to_line(LINE).unwrap());
    switch.line_took(LINE);
    told
}

fn waiting(switch: &Switch) -> usize {
    switch.lines[0].out.len()
}

/// Streams that are away, on a line whose server takes `most` of them.
fn away(streams: &[u32], ended: bool, most: u32) -> Switch {
    let mut switch = Switch::new(false);
    let asked: Vec<u8> = streams.iter().flat_map(|stream| ask(*stream, ended)).collect();
    play(&mut switch, &asked, streams);
    line(&mut switch, &settings(&[(3, most)]));
    switch
}

#[test]
fn a_line_that_takes_nothing_does_not_keep_the_client_from_being_heard() {
    let mut switch = away(&[1], false, 100);
    let upload = |switch: &mut Switch, mib: usize| {
        (0..mib << 20 >> 14).for_each(|_| play(switch, &data(1, frame::MOST, false), &[]));
    };
    upload(&mut switch, 3);
    assert!(switch.takes_client(), "home's window and the budget fit");
    upload(&mut switch, 2);
    assert!(!switch.takes_client(), "there is an end to it");
    // The answer has used up what the client takes: it waits for word of more.
    line(&mut switch, &[head(1), data(1, frame::MOST, false), data(1, frame::MOST, false)].concat());
    switch.to_client().clear();
    line(&mut switch, &[data(1, frame::MOST, false), data(1, 10_000, false)].concat());
    switch.to_client().clear();
    assert!(switch.takes_client());
    play(&mut switch, &[update(0, 60_000), update(1, 60_000)].concat(), &[]);
    assert!(!switch.takes_client(), "it has it");
}

#[test]
fn a_stream_is_refused_only_where_others_have_to_end_before_it() {
    for (most, refused) in [(1000, false), (1, true)] {
        let mut switch = away(&[1], false, most);
        // As much as the line is given at once, so that it is told of no other stream.
        (0..5).for_each(|_| play(&mut switch, &data(1, frame::MOST, false), &[]));
        for stream in (3..803).step_by(2) {
            play(&mut switch, &[ask(stream, false), data(stream, frame::MOST, false)].concat(), &[stream]);
        }
        assert_eq!((switch.lines[0].begun, switch.up > BUDGET), (1, !refused));
        let is_refused = frames(switch.to_client()).iter().any(|it| it.0 == kind::RST_STREAM);
        assert_eq!(is_refused, refused, "{most} at a time");
    }
}

#[test]
fn what_a_line_does_not_take_is_told_once_it_does() {
    let mut switch = away(&[1], true, 100);
    line(&mut switch, &head(1));
    told(&mut switch);
    for n in 0..100_000 {
        play(&mut switch, &[settings(&[(4, 70_000 + n)]), update(1, 3)].concat(), &[]);
    }
    assert!(waiting(&switch) < 2 * MOST_TOLD, "{}", waiting(&switch));
    let (mut room, mut last) = (0, 0);
    loop {
        let told = told(&mut switch);
        room += told.iter().filter(|it| it.0 == kind::WINDOW_UPDATE && it.2 == 1).map(|it| it.3).sum::<u32>();
        last = told.iter().filter(|it| it.0 == kind::SETTINGS).count().max(last);
        if told.is_empty() {
            break;
        }
    }
    assert_eq!(room, 300_000);
    assert_eq!(switch.settings.window(), 169_999);
    assert!(!switch.lines[0].owes_settings && switch.lines[0].untold.is_empty());
}

#[test]
fn a_line_that_asks_and_takes_no_answers_is_read_no_more() {
    let mut switch = away(&[1], true, 100);
    let mut ping = Vec::new();
    frame::write(&mut ping, kind::PING, 0, 0, &[1; 8]);
    let mut count = 0;
    while switch.takes_line(LINE) {
        line(&mut switch, &ping);
        count += 1;
        assert!(count < 100_000);
    }
    assert!(waiting(&switch) < 2 * MOST_TOLD);
    told(&mut switch);
    assert!(switch.takes_line(LINE));
}

#[test]
fn a_client_that_takes_no_answers_is_refused_and_then_read_no_more() {
    let mut switch = Switch::new(false);
    let mut scratch = Scratch::default();
    let answer = Answer { status: 502, grpc: GrpcStatus::Unavailable, code: "unreachable", why: "gone" };
    let mut stream = 1;
    while switch.takes_client() {
        let asked = ask(stream, true);
        let mut input = Input::new(&asked);
        while switch.client(&mut input, &mut scratch) == Step::Asked {
            switch.answer(&answer, &mut scratch);
        }
        stream += 2;
        assert!(stream < 1_000_000);
    }
    assert!(switch.away <= MOST_ANSWERS + MOST_OUT / 10, "{}", switch.away);
    assert!(switch.to_client.len() + switch.soon_client.len() < 2 * MOST_UNREAD);
}

#[test]
fn heads_that_wait_behind_a_body_count_as_what_waits() {
    let streams: Vec<u32> = (0..100).map(|n| 2 * n + 1).collect();
    let mut switch = away(&streams, true, 1000);
    // No room at all on streams.
    play(&mut switch, &settings(&[(4, 0)]), &[]);
    let mut block = Vec::new();
    literal(&mut block, Form::Plain, b"x-long", &[b'a'; 60_000]);
    for stream in streams {
        if !switch.takes_line(LINE) {
            assert!(switch.lines[0].held_down < 1 << 20);
            return;
        }
        let mut trailers = Vec::new();
        frame::block(&mut trailers, stream, flag::END_STREAM, &[], &block);
        line(&mut switch, &[head(stream), data(stream, 1, false), trailers].concat());
        switch.to_client().clear();
    }
    panic!("it is read on and on");
}

#[test]
fn what_home_has_said_that_it_does_not_look_at_is_not_done_by_others() {
    let mut switch = Switch::new(false);
    play(&mut switch, &[ask(1, true), ask(3, true)].concat(), &[3]);
    home(&mut switch, &goaway(1));
    assert_eq!(frames(switch.to_client())[0], (kind::GOAWAY, 0, 0, 3));
    play(&mut switch, &[ask(5, false), data(5, 10, true)].concat(), &[5]);
    assert_eq!(frames(switch.to_client()), [(kind::RST_STREAM, 0, 5, code::REFUSED_STREAM)]);
    assert_eq!((switch.away(), switch.on_line(LINE)), (1, 1));
}

#[test]
fn where_home_takes_less_the_client_is_given_it_back_for_what_is_away() {
    let mut switch = Switch::new(false);
    home(&mut switch, &settings(&[(4, 1 << 20)]));
    play(&mut switch, &[ask(1, false), data(1, frame::MOST, false)].concat(), &[1]);
    line(&mut switch, &settings(&[]));
    switch.to_client().clear();
    home(&mut switch, &settings(&[(4, 16_384)]));
    let less = (1 << 20) - 16_384;
    let updates =
        frames(switch.to_client()).into_iter().filter(|it| it.0 == kind::WINDOW_UPDATE && it.2 == 1);
    assert!(updates.map(|it| it.3).sum::<u32>() >= less);
}

#[test]
fn a_table_that_is_too_large_to_follow_is_told() {
    let mut switch = Switch::new(false);
    let mut asked = Vec::new();
    // A new size of 128 KiB.
    frame::block(&mut asked, 1, flag::END_STREAM, &[], &[0x3f, 0xe1, 0xff, 0x07, 0x82, 0x86, 0x84]);
    play(&mut switch, &asked, &[1]);
    assert!(switch.is_blind() && switch.to_home().bytes() == asked);
}

#[test]
fn a_client_that_takes_less_of_one_stream_does_not_starve_the_others_on_its_line() {
    let mut switch = away(&[1, 3], true, 100);
    line(&mut switch, &head(1));
    told(&mut switch);
    play(&mut switch, &update(0, 1 << 20), &[]);
    // Nothing goes on to a client that does not read, and then it takes all room back.
    switch.to_client.bytes.resize(MOST_OUT, 0);
    (0..15).for_each(|_| line(&mut switch, &data(1, frame::MOST, false)));
    told(&mut switch);
    play(&mut switch, &settings(&[(4, 0)]), &[]);
    let given = told(&mut switch).into_iter().filter(|it| it.0 == kind::WINDOW_UPDATE && it.2 == 0);
    let given: u32 = given.map(|it| it.3).sum();
    assert!(given >= 14 * frame::MOST as u32, "{given}");
    // Nor with what was on its way then.
    (0..15).for_each(|_| line(&mut switch, &data(1, frame::MOST, false)));
    let given = told(&mut switch).into_iter().filter(|it| it.0 == kind::WINDOW_UPDATE && it.2 == 0);
    assert!(given.map(|it| it.3).sum::<u32>() >= 12 * frame::MOST as u32);
}

#[test]
fn frames_of_streams_that_were_away_do_not_reach_home() {
    let streams: Vec<u32> = (0..700).map(|n| 2 * n + 1).collect();
    let mut switch = away(&streams, false, 1000);
    play(&mut switch, &ask(1401, true), &[]);
    for stream in &streams {
        let mut reset = Vec::new();
        frame::reset(&mut reset, *stream, 8);
        line(&mut switch, &reset);
        switch.to_client().clear();
        switch.settle();
    }
    switch.to_home().clear();
    play(&mut switch, &streams.iter().flat_map(|it| data(*it, 1, true)).collect::<Vec<_>>(), &[]);
    assert_eq!(frames(switch.to_home()), []);
}

#[test]
fn a_padded_body_of_home_waits_without_its_padding() {
    let mut switch = Switch::new(false);
    play(&mut switch, &[ask(1, true), ask(3, true)].concat(), &[3]);
    line(&mut switch, &[settings(&[]), head(3)].concat());
    line(&mut switch, &data(3, 16_000, false));
    switch.to_client().clear();
    let mut padded = vec![99; 60_000];
    padded[0] = 200;
    let mut body = Vec::new();
    frame::write(&mut body, kind::DATA, flag::PADDED, 1, &padded);
    home(&mut switch, &body);
    let room = switch.share.for_home();
    let got = frames(switch.to_client());
    assert_eq!((got.len(), got[0].0, got[0].1), (1, kind::DATA, 0), "what there is room for goes on");
    let mut given = frames(switch.to_home());
    given.retain(|it| it.0 == kind::WINDOW_UPDATE);
    assert_eq!(given, [(kind::WINDOW_UPDATE, 0, 0, 201), (kind::WINDOW_UPDATE, 0, 1, 201)]);
    play(&mut switch, &[update(0, 30_000), update(1, 30_000)].concat(), &[]);
    assert_eq!((room, switch.from_home.held()), (0, 0));
}
