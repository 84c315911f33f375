//! A connection whose client speaks HTTP/2: each stream is decided alone.
//!
//! Streams for home go over the one connection that was dialled when the client came, and so does all that is the
//! connection's; those for another place go over a line of their own to it. What becomes of every frame is the
//! switch's ([`byway_http::Switch`]); here are the sockets, in one polled struct as in [`super::exchange`].

mod decide;
mod ends;
mod greet;
mod lines;

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use byway_http::{
    Doubt, Switch,
    detect::PREFACE,
    http2::switch::{Input, MOST_PARTS, Out, Scratch as Block, Step},
};
use tokio::{
    io::AsyncWrite,
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{
    connection::{Connection, Http2Start, Place, Server},
    count::Said,
    ending::{self, Ended, Farewell, LateReset},
    exchange::SLOW_HEAD,
    outbox::{Outbox, Scratch},
    tunnel,
};
use crate::{snapshot::Leg, stream::Stream};
use greet::Greeting;
use lines::Lines;

thread_local! {
    /// Where the block under way is read; none lasts longer than one turn.
    static BLOCK: RefCell<Block> = RefCell::default();
}

/// Serves the connection to its end.
pub(super) async fn serve(connection: Connection, mut start: Http2Start) {
    if start.first.is_some() {
        return Multiplex::new(&connection, start, 0).run().await;
    }
    match greet::greet(start.home.stream(), &start.heard, &mut start.said).await {
        Ok((Greeting::Other, sent)) => {
            let Http2Start { client, place, mut home, heard, said, .. } = start;
            connection.count_opaque(&place, Doubt::Http2);
            let up = tunnel::Way::new(Outbox::of(heard[sent..].to_vec()), Ended::No);
            let down = tunnel::Way::new(Outbox::of(said), Ended::No);
            let said = Said::default();
            let used = move || connection.still_used(place.leg(), &said);
            tunnel::run(client, &mut home, up, down, used, |_| {}).await;
        }
        Ok((Greeting::Http2, sent)) => Multiplex::new(&connection, start, sent).run().await,
        Err(_) => ending::reset_after_flush(&mut start.client).await,
    }
}

/// A client connection whose streams are told apart.
struct Multiplex<'a> {
    connection: &'a Connection,
    switch: Switch,
    client: Stream,
    place: Place,
    home: Server,
    lines: Lines<'a>,
    client_ended: Ended,
    home_ended: Ended,
    /// Home takes nothing more; what it has sent before is still passed on.
    home_broken: bool,
    client_reset: LateReset,
    home_reset: LateReset,
    /// The preview that home is, or that the last stream there was for.
    used: Option<Arc<Leg>>,
    said: Said,
    /// The block that has begun and is not whole, by its stream.
    slow_block: Option<(u32, Pin<Box<Sleep>>)>,
    /// That nothing is decided any more has been counted.
    is_blind: bool,
}

/// Why it stopped.
enum Stop {
    /// Both sides have ended.
    Done,
    /// No stream is left, and none will come.
    Close,
    /// One side was reset.
    Reset,
}

impl<'a> Multiplex<'a> {
    /// Home has been sent what the client has said up to `sent`; nothing where HTTP/1 has come before.
    fn new(connection: &'a Connection, start: Http2Start, sent: usize) -> Self {
        let Http2Start { client, place, home, heard, said, first } = start;
        let is_own = connection.target.routes.load().at(connection.local.port()).is_own();
        let marks = is_own || matches!(place, Place::Preview(_));
        let used = first.as_ref().and_then(|first| first.own.as_ref().or(place.leg()).cloned());
        let mut it = Self {
            connection,
            switch: match &first {
                None => Switch::new(marks),
                Some(first) => {
                    Switch::upgraded(marks, &first.settings, used.as_deref().and_then(decide::header))
                }
            },
            client,
            place,
            home,
            lines: Lines::new(connection),
            client_ended: Ended::No,
            home_ended: Ended::No,
            is_blind: false,
            home_broken: false,
            client_reset: LateReset::default(),
            home_reset: LateReset::default(),
            used,
            said: Said::default(),
            slow_block: None,
        };
        if first.is_none() {
            let mut known = Input::new(&heard[PREFACE.len()..sent]);
            it.take_client(&mut known);
            it.switch.to_home().clear();
        }
        let mut input = Input::new(&heard[sent..]);
        it.take_client(&mut input);
        it.switch.to_home().keep(input, 0);
        let mut input = Input::new(&said);
        it.switch.home(&mut input);
        it.switch.to_client().keep(input, 0);
        it
    }

    async fn run(mut self) {
        let mut drain = pin!(self.connection.admission.drain_begins());
        let mut drains = false;
        let stop = poll_fn(|cx| {
            if !drains && drain.as_mut().poll(cx).is_ready() {
                drains = true;
                self.switch.drain();
            }
            self.poll(cx)
        })
        .await;
        match stop {
            Ok(Stop::Done) => {}
            Ok(Stop::Close) => {
                ending::shutdown(self.home.stream());
                let mut farewell = Farewell::default();
                poll_fn(|cx| farewell.poll(cx, &mut self.client)).await;
            }
            Ok(Stop::Reset) | Err(_) => {
                self.home.stream().reset();
                self.lines.reset();
                ending::reset_after_flush(&mut self.client).await;
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stop>> {
        loop {
            let mut moved = self.poll_up(cx)? | self.poll_down(cx)? | self.poll_lines(cx);
            moved |= self.poll_slow_block(cx);
            if self.switch.is_over() {
                return Poll::Ready(Ok(Stop::Close));
            }
            if let Some(stop) = self.pass_ends_on() {
                return Poll::Ready(Ok(stop));
            }
            if !moved {
                return self.poll_late_resets(cx).map(Ok);
            }
        }
    }

    /// From the client, as long as home takes it; whether anything moved.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        loop {
            let home = Pin::new(&mut **self.home.stream());
            match flush(cx, self.switch.to_home(), home) {
                Ok(some) => moved |= some,
                Err(_) => self.cannot_send(),
            }
            if self.client_ended != Ended::No || !self.switch.takes_client() {
                return Ok(moved);
            }
            let mut scratch = Scratch::take();
            match scratch.poll_read(cx, &mut self.client)? {
                Poll::Pending => return Ok(moved),
                Poll::Ready([]) => {
                    self.client_ended = Ended::Seen;
                    self.switch.client_ended();
                }
                Poll::Ready(bytes) => {
                    let mut input = Input::new(bytes);
                    self.take_client(&mut input);
                    let home = Pin::new(&mut **self.home.stream());
                    if send(cx, self.switch.to_home(), input, home).is_err() {
                        self.cannot_send();
                    }
                }
            }
            moved = true;
        }
    }

    /// From home, as long as the client takes it; whether anything moved.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        loop {
            moved |= flush(cx, self.switch.to_client(), Pin::new(&mut *self.client))?;
            if self.home_ended != Ended::No || !self.switch.takes_home() {
                return Ok(moved);
            }
            let mut scratch = Scratch::take();
            match scratch.poll_read(cx, self.home.stream()) {
                Poll::Pending if self.home.poll_lost(cx).is_ready() => self.end_home(true)?,
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok([])) => self.end_home(false)?,
                Poll::Ready(Ok(bytes)) => {
                    self.connection.still_used(self.used.as_ref(), &self.said);
                    let mut input = Input::new(bytes);
                    self.switch.home(&mut input);
                    send(cx, self.switch.to_client(), input, Pin::new(&mut *self.client))?;
                }
                Poll::Ready(Err(_)) => self.end_home(true)?,
            }
            moved = true;
        }
    }

    fn poll_lines(&mut self, cx: &mut Context<'_>) -> bool {
        self.switch.settle();
        self.lines.poll(cx, &mut self.switch, matches!(self.place, Place::App))
    }

    /// A client that begins a block and says no more is home's to judge; whether home is told now.
    fn poll_slow_block(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(stream) = self.switch.held_block() else {
            self.slow_block = None;
            return false;
        };
        let timer = match self.slow_block.take() {
            Some((of, timer)) if of == stream => timer,
            _ => Box::pin(sleep(SLOW_HEAD)),
        };
        let (_, timer) = self.slow_block.insert((stream, timer));
        let is_slow = timer.as_mut().poll(cx).is_ready();
        if is_slow {
            self.slow_block = None;
            self.switch.block_is_slow();
        }
        is_slow
    }

    /// Takes bytes of the client, and decides each request in them.
    fn take_client(&mut self, input: &mut Input<'_>) {
        BLOCK.with_borrow_mut(|block| {
            loop {
                match self.switch.client(input, block) {
                    Step::Done => break,
                    Step::Asked => self.decide(block),
                    Step::Late => self.was_late(block.fields()),
                }
            }
        });
        if self.switch.is_blind() && !self.is_blind {
            self.is_blind = true;
            self.connection.count_opaque(&self.place, Doubt::BlockTooLong);
        }
    }
}

/// Writes what waits and what goes on of the input, as far as that is taken at once; the rest waits.
fn send(cx: &mut Context<'_>, out: &mut Out, input: Input<'_>, to: Pin<&mut TcpStream>) -> io::Result<()> {
    let parts = out.parts(&input);
    let written = match parts.as_slice() {
        [] => return Ok(()),
        [one] => to.poll_write(cx, one),
        more => {
            let mut slices = [IoSlice::new(&[]); MOST_PARTS];
            slices.iter_mut().zip(more).for_each(|(slice, part)| *slice = IoSlice::new(part));
            to.poll_write_vectored(cx, &slices[..more.len()])
        }
    };
    drop(parts);
    let taken = if let Poll::Ready(written) = written { written? } else { 0 };
    out.keep(input, taken);
    Ok(())
}

/// Writes what waits, as far as it is taken; whether anything was.
fn flush(cx: &mut Context<'_>, out: &mut Out, mut to: Pin<&mut TcpStream>) -> io::Result<bool> {
    let mut moved = false;
    while !out.is_empty()
        && let Poll::Ready(written) = to.as_mut().poll_write(cx, out.bytes())
    {
        out.advance(written?);
        moved = true;
    }
    Ok(moved)
}
