//! What must hold for whatever bytes the ends of a connection of HTTP/2 send, and whatever of it is away. One body for
//! two callers: the fuzz target, and a test that runs it for a fixed number of inputs.

use byway_http::{
    Switch,
    http2::switch::{Answer, Failure, GrpcStatus, Input, Out, Scratch, Step},
};

const LINES: u32 = 2;
/// More than may ever wait for a side that takes all that it is sent: what came, and what was held before.
const MOST: usize = 2 << 20;

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    unkeyed(input);
    mixed(input);
}

/// Where nothing is away, both ways are a wire.
fn unkeyed(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first() else { return };
    let (client, home) = bytes.split_at(bytes.len() * usize::from(*cut) / 256);
    for piece in [1 + usize::from(*cut % 32), usize::MAX] {
        let (mut switch, mut scratch) = (Switch::new(false), Scratch::default());
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for part in client.chunks(piece) {
            let mut part = Input::new(part);
            loop {
                match switch.client(&mut part, &mut scratch) {
                    Step::Done => break,
                    Step::Asked => switch.goes_home(None, &mut scratch),
                    Step::Late => {}
                }
            }
            take_with(switch.to_home(), part, &mut up);
            if cut.is_multiple_of(2) {
                switch.block_is_slow();
                take(switch.to_home(), &mut up);
            }
            assert!(client.starts_with(&up), "home gets what the client sends");
        }
        for part in home.chunks(piece) {
            let mut part = Input::new(part);
            switch.home(&mut part);
            take_with(switch.to_client(), part, &mut down);
            assert!(home.starts_with(&down), "the client gets what home sends");
        }
        switch.client_ended();
        take(switch.to_home(), &mut up);
        switch.home_ended();
        take(switch.to_client(), &mut down);
        assert!(up == client && down == home, "at the end nothing is held");
    }
}

/// Each piece is of one end, and begins with who that is, how long it is, and what becomes of its requests.
fn mixed(mut input: &[u8]) {
    let (mut switch, mut scratch) = (Switch::new(input.len().is_multiple_of(2)), Scratch::default());
    let mut is_open = [false; LINES as usize];
    let mut sink = Vec::new();
    while let Some(([who, long, len, what], rest)) = input.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*long, *len]));
        let (mut piece, behind) = rest.split_at(rest.len().min(len));
        input = behind;
        let id = u32::from(*what) % LINES;
        let open = &mut is_open[id as usize];
        match who % 8 {
            0 | 1 => {
                let mut piece = Input::new(piece);
                loop {
                    match switch.client(&mut piece, &mut scratch) {
                        Step::Done => break,
                        Step::Late => continue,
                        Step::Asked => {}
                    }
                    match what % 5 {
                        0 | 1 => switch.goes_home(None, &mut scratch),
                        2 => {
                            let answer =
                                Answer { status: 404, grpc: GrpcStatus::NotFound, code: "x", why: "y" };
                            switch.answer(&answer, &mut scratch);
                        }
                        _ => {
                            if !std::mem::replace(open, true) {
                                switch.add_line(id, "a line".to_owned());
                            }
                            switch.goes_away(id, None, &mut scratch);
                        }
                    }
                }
                take_with(switch.to_home(), piece, &mut sink);
            }
            2 | 3 => {
                let mut piece = Input::new(piece);
                switch.home(&mut piece);
                take_with(switch.to_client(), piece, &mut sink);
            }
            4 | 5 if *open => {
                let broken = switch.line(id, &mut piece).is_err();
                broken.then(|| fail(&mut switch, id, open, false));
            }
            6 if *open => switch.line_speaks(id),
            7 if *open && what % 8 == 7 => fail(&mut switch, id, open, what % 16 == 7),
            7 if what % 8 == 6 => switch.drain(),
            7 if what % 8 == 5 => switch.block_is_slow(),
            _ => {}
        }
        let waits = switch.to_client().len() + switch.to_home().len();
        assert!(waits < MOST, "{waits} bytes wait");
        take(switch.to_client(), &mut sink);
        take(switch.to_home(), &mut sink);
        for id in 0..LINES {
            if let Some(out) = switch.to_line(id) {
                take(out, &mut sink);
            }
            switch.line_took(id);
        }
        switch.settle();
        sink.clear();
    }
    // Whatever was open comes to its end.
    for id in 0..LINES {
        fail(&mut switch, id, &mut is_open[id as usize], false);
    }
    switch.client_ended();
    switch.home_ended();
}

fn fail(switch: &mut Switch, id: u32, open: &mut bool, falls_back: bool) {
    if std::mem::take(open) {
        switch.line_failed(id, &Failure { status: 502, code: "unreachable", why: "it is gone", falls_back });
        assert_eq!(switch.on_line(id), 0);
    }
}

/// As a socket that takes half of it at first.
fn take_with(out: &mut Out, input: Input<'_>, to: &mut Vec<u8>) {
    let all = out.parts(&input).concat();
    let half = all.len() / 2;
    to.extend_from_slice(&all[..half]);
    out.keep(input, half);
    assert!(out.bytes() == &all[half..], "what is not taken waits");
    take(out, to);
}

fn take(out: &mut Out, to: &mut Vec<u8>) {
    to.extend_from_slice(out.bytes());
    let len = out.len();
    out.advance(len);
}
