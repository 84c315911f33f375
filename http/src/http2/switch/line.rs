//! A line: a connection of the switch's own, to a server that is not home. The way from there is here.

use std::collections::VecDeque;

use super::{
    MOST_TOLD, Stream, Switch,
    away::{Last, Piece},
    flow,
    out::{Out, some},
};
use crate::detect::PREFACE;
use crate::http2::{
    fields::Fields,
    frame::{self, Head, Walker, code, flag, kind, setting, whole},
    hpack::{self, Decoder},
};

/// What a line may send on all of its streams before any of it has gone on to the client.
const WINDOW: u32 = 256 * 1024;
/// Longest block of an answer.
const MOST_BLOCK: usize = 256 * 1024;
/// Longest frame of a line, which has been told of no other.
const MOST_FRAME: usize = frame::MOST;

/// Why nothing more can come of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A frame that is longer than was allowed.
    #[error("it sent a frame that is too long")]
    Frame,
    /// A head that is longer than can be passed on.
    #[error("it sent a head that is longer than {} KiB", MOST_BLOCK / 1024)]
    Head,
    /// A block that is not of HPACK.
    #[error("it sent a head that cannot be decoded")]
    Compression,
    /// A frame that should not be there.
    #[error("it broke the rules of HTTP/2")]
    Protocol,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: u32,
    /// As people call it.
    pub(super) name: String,
    pub(super) out: Out,
    walker: Walker,
    reading: Reading,
    held: Vec<u8>,
    decoder: Decoder,
    block: Option<Block>,
    /// The server speaks HTTP/2, or is taken for one that does.
    pub(super) speaks: bool,
    /// It takes no more streams.
    pub(super) is_leaving: bool,
    /// It has yet to be told of the client's settings, as they are by then.
    pub(super) owes_settings: bool,
    /// Streams on which it has yet to be told of room.
    pub(super) untold: VecDeque<u32>,
    /// The first block has gone out.
    pub(super) has_asked: bool,
    /// What the server takes on all streams.
    pub(super) room: i64,
    /// What it takes on a new stream.
    pub(super) window: i64,
    most_streams: usize,
    /// It takes extended CONNECT (RFC 8441).
    pub(super) takes_connect: bool,
    /// What it is owed of its window.
    pub(super) owed: u32,
    /// Bytes that wait for the client.
    pub(super) held_down: usize,
    /// Streams that it knows of.
    pub(super) begun: usize,
    /// Streams that it does not know of yet, in order.
    pub(super) waiting: VecDeque<u32>,
    /// Streams that have something for it.
    pub(super) busy: VecDeque<u32>,
    /// Streams for which it has no room on the connection.
    pub(super) starved: VecDeque<u32>,
    /// All of its streams.
    pub(super) streams: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Reading {
    #[default]
    Head,
    Drop(usize),
    /// A frame. Bodies too: one that came in drops would go on as many frames, which clients do not bear.
    Whole(Head),
}

#[derive(Debug)]
struct Block {
    stream: u32,
    ended: bool,
    fragments: Vec<u8>,
}

impl Line {
    fn new(id: u32, name: String, settings: &[u8]) -> Self {
        let mut out = Out::default();
        out.bytes.extend_from_slice(PREFACE);
        frame::write(&mut out.bytes, kind::SETTINGS, 0, 0, settings);
        frame::window_update(&mut out.bytes, 0, WINDOW - flow::USUAL as u32);
        Self {
            id,
            name,
            out,
            walker: Walker::default(),
            reading: Reading::Head,
            held: Vec::new(),
            decoder: Decoder::default(),
            block: None,
            speaks: false,
            is_leaving: false,
            owes_settings: false,
            untold: VecDeque::new(),
            has_asked: false,
            room: flow::USUAL,
            window: flow::USUAL,
            most_streams: usize::MAX,
            takes_connect: false,
            owed: 0,
            held_down: 0,
            begun: 0,
            waiting: VecDeque::new(),
            busy: VecDeque::new(),
            starved: VecDeque::new(),
            streams: 0,
        }
    }

    /// Whether it may be told of another stream now.
    pub(super) fn takes_stream(&self) -> bool {
        self.speaks && !self.is_full()
    }

    /// Whether other streams have to end before it may be told of another.
    pub(super) const fn is_full(&self) -> bool {
        self.is_leaving || self.begun >= self.most_streams
    }

    /// What it sent has gone on, or is for nobody.
    pub(super) fn pay(&mut self, len: usize) {
        self.owed += len as u32;
        if self.owed >= WINDOW / 4 {
            frame::window_update(&mut self.out.bytes, 0, std::mem::take(&mut self.owed));
        }
    }
}

impl Switch {
    /// A new line. `name` is what people call its server.
    pub fn add_line(&mut self, id: u32, name: String) {
        self.lines.push(Line::new(id, name, &self.settings.for_line()));
    }

    /// The line is not needed any more. It has no streams.
    pub fn remove_line(&mut self, id: u32) {
        self.lines.retain(|line| line.id != id);
    }

    /// The line's server is taken for one that speaks HTTP/2, though it has said nothing.
    pub fn line_speaks(&mut self, id: u32) {
        if let Some(at) = self.line_at(id) {
            self.speaks(at);
            self.pump(at);
        }
    }

    /// What the line has to be sent.
    pub fn to_line(&mut self, id: u32) -> Option<&mut Out> {
        self.lines.iter_mut().find(|line| line.id == id).map(|line| &mut line.out)
    }

    /// The line has taken what it had to be sent.
    pub fn line_took(&mut self, id: u32) {
        if let Some(at) = self.line_at(id) {
            self.pump(at);
        }
    }

    /// Streams that the line has.
    #[must_use]
    pub fn on_line(&self, id: u32) -> usize {
        self.line_at(id).map_or(0, |at| self.lines[at].streams)
    }

    /// Whether the line may get more streams.
    #[must_use]
    pub fn line_takes_more(&self, id: u32) -> bool {
        self.line_at(id).is_some_and(|at| !self.lines[at].is_leaving)
    }

    /// Whether more of the line may be read.
    #[must_use]
    pub fn takes_line(&self, id: u32) -> bool {
        let most = 2 * WINDOW as usize;
        self.to_client.len() < super::MOST_OUT
            && self.line_at(id).is_some_and(|at| {
                let line = &self.lines[at];
                line.held_down < most && line.out.len() < MOST_TOLD
            })
    }

    /// Takes bytes of a line.
    pub fn line(&mut self, id: u32, input: &mut &[u8]) -> Result<(), LineError> {
        let Some(at) = self.line_at(id) else { return Ok(()) };
        loop {
            let line = &mut self.lines[at];
            match line.reading {
                Reading::Head => {
                    let Some(head) = line.walker.head(input) else { break };
                    if head.len > MOST_FRAME {
                        return Err(LineError::Frame);
                    }
                    let is_known = head.kind <= kind::CONTINUATION;
                    line.reading = if is_known { Reading::Whole(head) } else { Reading::Drop(head.len) };
                }
                Reading::Drop(0) => line.reading = Reading::Head,
                Reading::Drop(left) => {
                    let Some(bytes) = some(input, left) else { break };
                    line.reading = Reading::Drop(left - bytes.len());
                }
                Reading::Whole(head) => {
                    let Some(payload) = whole(&mut line.held, input, head.len) else { break };
                    line.reading = Reading::Head;
                    self.line_frame(at, &head, &payload)?;
                }
            }
        }
        self.pump(at);
        self.settle();
        Ok(())
    }

    pub(super) fn line_at(&self, id: u32) -> Option<usize> {
        self.lines.iter().position(|line| line.id == id)
    }

    fn line_frame(&mut self, at: usize, head: &Head, payload: &[u8]) -> Result<(), LineError> {
        let line = &mut self.lines[at];
        if line.block.is_some() && head.kind != kind::CONTINUATION {
            return Err(LineError::Protocol);
        }
        match (head.kind, frame::number(payload)) {
            (kind::DATA, _) => {
                let bytes = head.without_padding(payload).ok_or(LineError::Protocol)?;
                line.pay(payload.len() - bytes.len());
                self.line_data(at, head, bytes);
            }
            (kind::HEADERS, _) => {
                let (_, fragment) = head.fragment(payload).ok_or(LineError::Protocol)?;
                let block = Block {
                    stream: head.stream,
                    ended: head.has(flag::END_STREAM),
                    fragments: fragment.to_vec(),
                };
                return self.line_fragment(at, head, block);
            }
            (kind::CONTINUATION, _) => {
                let mut block = line.block.take().ok_or(LineError::Protocol)?;
                block.fragments.extend_from_slice(payload);
                return self.line_fragment(at, head, block);
            }
            (kind::SETTINGS, _) if !head.has(flag::ACK) => self.line_settings(at, payload),
            (kind::PING, _) if !head.has(flag::ACK) => {
                frame::write(&mut line.out.bytes, kind::PING, flag::ACK, 0, payload);
            }
            (kind::WINDOW_UPDATE, Some(room)) if head.stream == 0 => {
                line.room += i64::from(room);
                while let Some(stream) = line.starved.pop_front() {
                    line.busy.push_back(stream);
                }
            }
            (kind::WINDOW_UPDATE, Some(room)) => self.line_has_room(at, head.stream, room),
            (kind::RST_STREAM, Some(_)) if self.has(at, head.stream) => {
                let reset = [&head.raw, payload].concat();
                self.add_piece(head.stream, Piece::Frames(reset, Last::Reset));
            }
            (kind::GOAWAY, Some(last)) => {
                self.lines[at].is_leaving = true;
                self.refuse_above(at, last);
            }
            (kind::PUSH_PROMISE, _) => return Err(LineError::Protocol),
            _ => {}
        }
        Ok(())
    }

    fn line_settings(&mut self, at: usize, payload: &[u8]) {
        self.speaks(at);
        let line = &mut self.lines[at];
        frame::write(&mut line.out.bytes, kind::SETTINGS, flag::ACK, 0, &[]);
        for (id, value) in frame::settings(payload) {
            match id {
                setting::MAX_CONCURRENT_STREAMS => line.most_streams = value as usize,
                setting::ENABLE_CONNECT_PROTOCOL => line.takes_connect = value == 1,
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - line.window;
                    line.window += change;
                    for (stream, it) in &mut self.streams {
                        if let Stream::Away(away) = it
                            && away.line == Some(line.id)
                            && away.has_begun()
                        {
                            away.up.room += change;
                            if away.has_something() && !away.up.queued {
                                away.up.queued = true;
                                line.busy.push_back(*stream);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn line_fragment(&mut self, at: usize, head: &Head, block: Block) -> Result<(), LineError> {
        let line = &mut self.lines[at];
        if block.stream != head.stream {
            return Err(LineError::Protocol);
        }
        if block.fragments.len() > MOST_BLOCK {
            return Err(LineError::Head);
        }
        if !head.has(flag::END_HEADERS) {
            line.block = Some(block);
            return Ok(());
        }
        let mut fields = Fields::default();
        line.decoder.decode(&block.fragments, &mut fields, None).map_err(|_| LineError::Compression)?;
        if fields.is_long() {
            return Err(LineError::Head);
        }
        if self.is_on(at, block.stream) {
            self.line_head(block.stream, block.ended, &fields);
        }
        Ok(())
    }

    /// A head, one ahead of it (1xx), or trailers.
    fn line_head(&mut self, stream: u32, ended: bool, fields: &Fields) {
        let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { return };
        let mut block = Vec::with_capacity(fields.size());
        hpack::encode(fields, &mut block);
        if fields.get(b":status").is_some_and(|status| !status.starts_with(b"1")) {
            away.down.answered = true;
            block.extend_from_slice(&away.mark.take().unwrap_or_default());
        }
        let mut frames = Vec::with_capacity(block.len() + frame::HEAD);
        frame::block(&mut frames, stream, frame::end(ended), &[], &block);
        self.add_piece(stream, Piece::Frames(frames, if ended { Last::End } else { Last::More }));
    }

    fn line_data(&mut self, at: usize, head: &Head, bytes: &[u8]) {
        if !self.is_on(at, head.stream) {
            return self.lines[at].pay(bytes.len());
        }
        let last = if head.has(flag::END_STREAM) { Last::End } else { Last::More };
        if !bytes.is_empty() || last == Last::End {
            self.add_piece(head.stream, Piece::Data(bytes.to_vec().into(), last));
        }
    }

    fn has(&self, at: usize, stream: u32) -> bool {
        let id = self.lines[at].id;
        matches!(self.streams.get(&stream), Some(Stream::Away(away)) if away.line == Some(id))
    }

    /// Whether the line still has the stream, and something to say on it.
    fn is_on(&self, at: usize, stream: u32) -> bool {
        let ended = |it: &Stream| matches!(it, Stream::Away(away) if away.down.ended);
        self.has(at, stream) && !self.streams.get(&stream).is_some_and(ended)
    }

    /// The line has not looked at streams above `last`, and says so: they may be sent again (RFC 9113, 6.8).
    fn refuse_above(&mut self, at: usize, last: u32) {
        let id = self.lines[at].id;
        let of_line =
            |it: &Stream| matches!(it, Stream::Away(away) if away.line == Some(id) && !away.down.ended);
        let refused = self.streams.iter().filter(|(stream, it)| **stream > last && of_line(it));
        let mut refused: Vec<u32> = refused.map(|(stream, _)| *stream).collect();
        refused.sort_unstable();
        for stream in refused {
            self.breaks_off(stream, code::REFUSED_STREAM);
        }
    }

    fn line_has_room(&mut self, at: usize, stream: u32, room: u32) {
        if let Some(Stream::Away(away)) = self.streams.get_mut(&stream)
            && away.line == Some(self.lines[at].id)
        {
            away.up.room += i64::from(room);
            if away.has_begun() && away.has_something() && !away.up.queued {
                away.up.queued = true;
                self.lines[at].busy.push_back(stream);
            }
        }
    }
}
