//! What a server of HTTP/1 owes: the answer to the request that was seen last, to its end.

use byway_http::{Body, BodyScan, HeadScan, RequestKind, parse_response};

use super::{MOST, way::Piece};

#[derive(Default)]
pub(super) struct Answers {
    /// The request that waits for its answer.
    asked: Option<RequestKind>,
    state: State,
    /// Answers are observed, and not requests alone.
    are_seen: bool,
    /// A request was asked while another one waited. Such a client may have asked before anybody looked, so with him
    /// the number of answers tells nothing.
    pipelines: bool,
}

#[derive(Default)]
enum State {
    /// Nothing is known.
    #[default]
    Lost,
    /// The beginning of the head of an answer, if anything.
    Head(Vec<u8>),
    Body(BodyScan),
    /// All of it has come.
    Whole,
}

impl Answers {
    pub(super) fn ask(&mut self, kind: RequestKind) {
        self.pipelines |= self.asked.is_some() && self.are_seen;
        self.asked = Some(kind);
        self.state = State::Head(Vec::new());
    }

    pub(super) fn lose(&mut self) {
        (self.asked, self.state) = (None, State::Lost);
    }

    /// From now on answers are observed.
    pub(super) fn restarted(&self) -> Self {
        Self { are_seen: true, pipelines: self.pipelines, ..Self::default() }
    }

    /// Nothing has been asked since the last answer came to its end.
    pub(super) fn are_whole(&self) -> bool {
        matches!(self.state, State::Whole) && !self.pipelines
    }

    pub(super) fn take(&mut self, piece: Piece<'_>) {
        self.read(piece.bytes);
        match &mut self.state {
            _ if piece.missing == 0 => {}
            State::Body(scan) if scan.opaque_run() >= piece.missing => {
                scan.skip(piece.missing);
                if scan.done() {
                    self.complete();
                }
            }
            _ => self.lose(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match (&mut self.state, self.asked) {
                (State::Body(scan), _) => {
                    let Ok(used) = scan.advance(rest) else { return self.lose() };
                    rest = &rest[used..];
                    if scan.done() {
                        self.complete();
                    }
                }
                (State::Head(held), Some(kind)) => {
                    let before = held.len();
                    held.extend_from_slice(rest);
                    match HeadScan::of_answers().end(held) {
                        Ok(None) if held.len() <= MOST => return,
                        Ok(Some(len)) if len > before => {
                            let head = parse_response(&held[..len], kind);
                            rest = &rest[len - before..];
                            match head {
                                Ok(head) if head.interim => self.state = State::Head(Vec::new()),
                                Ok(head) if head.body != Body::Tunnel => self.begin_body(head.body),
                                _ => return self.lose(),
                            }
                        }
                        _ => return self.lose(),
                    }
                }
                _ => return self.lose(), // nobody asked for it
            }
        }
    }

    fn begin_body(&mut self, body: Body) {
        let scan = BodyScan::of_answer(body);
        if scan.done() {
            self.complete();
        } else {
            self.state = State::Body(scan);
        }
    }

    fn complete(&mut self) {
        (self.asked, self.state) = (None, State::Whole);
    }
}
