//! HTTP/2 as a switch: frames between a client and its home go on as they came, and only streams that are away leave
//! the way.
//!
//! A stream that is away goes to a line, the connection to a server that is not home, under its own number: numbers
//! only have to grow, so nothing is translated, and home and lines see gaps. It is begun with the client's own
//! SETTINGS. What is the connection's and not a stream's stays between client and home: SETTINGS, PING, GOAWAY, what
//! nobody knows. Lines have their own, and the switch answers for the client. A PING that only they can have given rise to
//! does not reach home.
//!
//! Towards home, field blocks go on byte for byte until a stream has been away; from then on home's table lacks what
//! it has not seen, and they are encoded anew ([`Mirror`]). Towards the client home's blocks always pass as they are,
//! and those of lines are encoded so that they change no table.
//!
//! The way up is [`client`], [`block`] where a request begins, then [`line`](mod@line) where a stream is away; the way down is [`home`] and
//! [`line`](mod@line). What of it goes out when is [`settle`]'s. All of it is a function of the bytes that come.

mod answer;
mod away;
mod block;
mod client;
mod drain;
mod ends;
mod flow;
mod home;
mod inlet;
mod line;
mod out;
mod pump;
mod settings;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

pub use answer::{Answer, GrpcStatus, RETRY_AFTER};
pub use ends::{Failure, Unanswered};
pub use out::{Input, MOST_PARTS, Out};

use super::{
    fields::Fields,
    frame::{self, code},
    hpack::{Decoder, Mirror},
};
use away::Away;
use drain::Drain;
use flow::Share;
use line::Line;

/// Bytes of bodies on their way to lines for which the client is given new room at once, so that a line that takes
/// nothing holds up no other stream.
const BUDGET: usize = 2 * 1024 * 1024;
/// Bytes of bodies on their way to lines, at which the client is read no more. That is more than most homes let a client
/// send, and the budget: for what it says of the other way is then not heard either.
const MOST_UP: usize = 4 * 1024 * 1024;
/// The same, where a line may wait for just that.
const MOST_UP_UNHEARD: usize = 16 * 1024 * 1024;
/// Bytes of heads that wait for a line: beyond that, streams are refused, and may be tried again.
const MOST_HEADS: usize = 16 * 1024 * 1024;
/// Bytes that wait for a socket, at which streams that are away add no more to them.
const MOST_OUT: usize = 64 * 1024;
/// Bytes of home that are held for want of room in the client's window, at which home is read no more.
const MOST_HELD: usize = 256 * 1024;
/// Bytes that a line does not take, at which it is told nothing more, and not read either.
const MOST_TOLD: usize = 256 * 1024;
/// Bytes that the client does not take, at which it is read no more.
const MOST_UNREAD: usize = 1024 * 1024;
/// Answers of the agent that wait for the client: beyond that, streams are refused.
const MOST_ANSWERS: usize = 1024;
/// Streams that are over for all but the client: what is on its way for them is thrown away.
const MOST_GONE: usize = 8192;

/// What happened to a client's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All of them have been dealt with.
    Done,
    /// A request is to be decided: see [`Scratch::fields`]. It [goes home](Switch::goes_home), [away](Switch::goes_away)
    /// or is [answered](Switch::answer) before anything else; one whose head is [long](Fields::is_long) goes home.
    Asked,
    /// A request has gone home undecided, since its head [was slow](Switch::block_is_slow): see [`Scratch::fields`].
    Late,
}

/// Room for one block, which connections share.
#[derive(Debug, Default)]
pub struct Scratch {
    fields: Fields,
    /// The frames of the block as they came.
    raw: Vec<u8>,
    /// The block.
    block: Vec<u8>,
    /// The block as home has to get it.
    anew: Vec<u8>,
    /// What stood before the block.
    priority: Vec<u8>,
}

impl Scratch {
    /// The head of the request that is to be decided.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }
}

/// One connection of a client, with all that belongs to it.
#[derive(Debug, Default)]
pub struct Switch {
    from_client: inlet::Inlet,
    from_home: home::Inlet,
    to_client: Out,
    to_home: Out,
    /// Whole frames that wait until their side is between two of the other's.
    soon_client: Vec<u8>,
    soon_home: Vec<u8>,
    /// Of what the client sends; none once that could not be decoded.
    decoder: Option<Decoder>,
    /// It could not for its length alone, so the connection goes on.
    is_blind: bool,
    /// What home knows of it, since a stream has been away.
    mirror: Option<Mirror>,
    settings: settings::Settings,
    /// What home lets the client send on a new stream (`SETTINGS_INITIAL_WINDOW_SIZE`).
    home_window: u32,
    streams: HashMap<u32, Stream, foldhash::quality::RandomState>,
    gone: VecDeque<u32>,
    lines: Vec<Line>,
    /// Streams that are away and have something for the client.
    ready: VecDeque<u32>,
    share: Share,
    /// The client has used up its room with what others wait to send.
    others_wait: bool,
    /// Others than home have sent the last of a body, and the client has not asked for a sign of life since.
    others_spoke: bool,
    /// What the client is owed of its window of the connection.
    owed: u32,
    /// The highest stream of the client, and of those that home knows.
    highest: u32,
    highest_home: u32,
    at_home: usize,
    away: usize,
    /// Bytes of bodies on their way to lines.
    up: usize,
    /// Bytes of heads that wait for lines.
    heads: usize,
    asked: Asked,
    drain: Drain,
    /// The last stream that home has said it looks at (GOAWAY), as the client was told.
    last: Option<u32>,
    home_has_ended: bool,
}

/// The request that is to be decided.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    stream: u32,
    ended: bool,
}

/// Who has a stream.
#[derive(Debug)]
enum Stream {
    Home(Home),
    Away(Box<Away>),
    /// Nobody any more, and the client goes on.
    Gone,
}

/// A stream that is at home.
#[derive(Debug, Default)]
struct Home {
    client_ended: bool,
    home_ended: bool,
    /// What is added to the head of the answer, encoded.
    mark: Option<Box<[u8]>>,
}

impl Switch {
    /// A connection whose client has sent its preface. `marks`: answers of home may have to be [marked](mark), so its
    /// blocks are to be decoded from the first one on.
    #[must_use]
    pub fn new(marks: bool) -> Self {
        Self {
            decoder: Some(Decoder::default()),
            from_home: home::Inlet::new(marks),
            home_window: flow::USUAL as u32,
            ..Self::default()
        }
    }

    /// As [`new`](Self::new), for a client that is still to send its preface: home has taken its [offer](crate::h2c), and
    /// answers the request as stream 1. `settings` are those of the offer; `mark` is added to the head of that answer.
    #[must_use]
    pub fn upgraded(marks: bool, settings: &[u8], mark: Option<Box<[u8]>>) -> Self {
        let mut switch = Self {
            from_client: inlet::Inlet::at_preface(),
            from_home: home::Inlet::that_speaks_first(marks),
            highest: 1,
            highest_home: 1,
            at_home: 1,
            ..Self::new(marks)
        };
        frame::settings(settings).for_each(|(id, value)| switch.settings.set(id, value));
        switch.streams.insert(1, Stream::Home(Home { client_ended: true, home_ended: false, mark }));
        switch
    }

    /// Nothing is decided any more: a block was too long to be waited for.
    #[must_use]
    pub const fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// What the client has to be sent.
    pub fn to_client(&mut self) -> &mut Out {
        &mut self.to_client
    }

    /// What home has to be sent.
    pub fn to_home(&mut self) -> &mut Out {
        &mut self.to_home
    }

    /// Whether more of the client may be read.
    #[must_use]
    pub fn takes_client(&self) -> bool {
        let has_room = || self.up < MOST_UP || self.up < MOST_UP_UNHEARD && self.waits_for_room();
        let unread = self.to_client.len() + self.soon_client.len();
        self.to_home.is_empty() && unread < MOST_UNREAD && has_room()
    }

    /// Whether an answer may wait for the client to make room. Clients do when half of it is used up.
    fn waits_for_room(&self) -> bool {
        let (least, is_short) = (self.settings.window() / 2, self.share.is_half_used());
        self.streams.values().any(|stream| match stream {
            Stream::Away(away) => !away.down.told && (is_short || away.down.room <= least),
            _ => false,
        })
    }

    /// Whether more of home may be read.
    #[must_use]
    pub fn takes_home(&self) -> bool {
        self.to_client.is_empty() && self.from_home.held() < MOST_HELD
    }

    /// Streams that are open.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.at_home + self.away
    }

    /// Streams that are away.
    #[must_use]
    pub const fn away(&self) -> usize {
        self.away
    }

    /// The request goes home. `mark` is added to the head of its answer.
    pub fn goes_home(&mut self, mark: Option<Box<[u8]>>, scratch: &mut Scratch) {
        let Asked { stream, ended } = self.asked;
        self.highest_home = stream;
        self.at_home += 1;
        self.streams.insert(stream, Stream::Home(Home { client_ended: ended, home_ended: false, mark }));
        self.block_home(scratch);
    }

    /// The request goes to a line. `mark` is added to the head of its answer.
    pub fn goes_away(&mut self, line: u32, mark: Option<Box<[u8]>>, scratch: &mut Scratch) {
        let Asked { stream, ended } = self.asked;
        self.not_home();
        let size = scratch.fields.size();
        if self.takes_no_more() || self.heads + size > MOST_HEADS {
            return self.turn_away(stream, ended);
        }
        self.heads += size;
        self.away += 1;
        let away = Away::new(Some(line), &scratch.fields, ended, self.settings.window(), mark);
        self.streams.insert(stream, Stream::Away(Box::new(away)));
        self.wait_for_line(line, stream);
    }

    /// The request is answered by the agent.
    pub fn answer(&mut self, answer: &Answer<'_>, scratch: &mut Scratch) {
        let Asked { stream, ended } = self.asked;
        self.not_home();
        if self.takes_no_more() {
            return self.turn_away(stream, ended);
        }
        self.away += 1;
        let away = Away::new(None, &scratch.fields, ended, self.settings.window(), None);
        self.streams.insert(stream, Stream::Away(Box::new(away)));
        self.say(stream, answer);
    }

    /// The stream that is asked for is for nobody: the client believes that it was not looked at, or takes no answers.
    fn takes_no_more(&self) -> bool {
        let on_lines: usize = self.lines.iter().map(|line| line.streams).sum();
        self.last.is_some_and(|last| self.asked.stream > last) || self.away - on_lines >= MOST_ANSWERS
    }

    fn turn_away(&mut self, stream: u32, ended: bool) {
        frame::reset(&mut self.soon_client, stream, code::REFUSED_STREAM);
        self.is_gone(stream, ended);
    }

    /// The stream is over for all but the client.
    fn is_gone(&mut self, stream: u32, client_ended: bool) {
        if client_ended {
            return;
        }
        if self.gone.len() == MOST_GONE
            && let Some(oldest) = self.gone.pop_front()
            && matches!(self.streams.get(&oldest), Some(Stream::Gone))
        {
            self.streams.remove(&oldest);
        }
        self.gone.push_back(stream);
        self.streams.insert(stream, Stream::Gone);
    }

    /// One side of a stream at home has said everything.
    fn ends_at_home(&mut self, stream: u32, is_client: bool) {
        let Some(Stream::Home(home)) = self.streams.get_mut(&stream) else { return };
        home.client_ended |= is_client;
        home.home_ended |= !is_client;
        if home.client_ended && home.home_ended {
            self.leaves_home(stream);
        }
    }

    /// A stream at home is over.
    fn leaves_home(&mut self, stream: u32) {
        if matches!(self.streams.get(&stream), Some(Stream::Home(_))) {
            self.streams.remove(&stream);
            self.at_home -= 1;
        }
    }
}

/// A header to be added to the head of an answer.
#[must_use]
pub fn mark(name: &str, value: &[u8]) -> Box<[u8]> {
    let mut block = Vec::new();
    super::hpack::literal(&mut block, super::hpack::Form::Plain, name.as_bytes(), value);
    block.into()
}
