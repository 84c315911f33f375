//! How the app has answered what previews were shown of a connection.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use byway_http::copies::{self, Copied, Segments};

use super::{part::Part, shower::Asked};

/// Most requests whose answer is awaited, and answers that came before all of their request had.
const MOST: usize = 1024;
/// Most bytes of answers that wait for what was lost before them.
const MOST_HELD: usize = 256 << 10;

/// One for each preview that was shown a request.
pub(super) type Shown = Vec<Arc<Asked>>;

#[derive(Default)]
pub(super) struct Answers {
    /// Of HTTP/1, in the order of the requests.
    awaited: VecDeque<Shown>,
    /// Of HTTP/2, by their numbers.
    streams: HashMap<u32, Stream>,
    reader: Reader,
}

enum Stream {
    Awaited(Shown),
    Answered(u16),
}

/// Of answers of HTTP/2.
#[derive(Default)]
enum Reader {
    /// The server's first frame has not been seen.
    #[default]
    Begins,
    Reads {
        segments: Segments,
        answers: Box<copies::Answers>,
        /// Something was missing when that was last looked at.
        has_gap: bool,
    },
    /// What came after something that is missing cannot be read.
    Over,
}

impl Answers {
    /// Bytes that are held.
    pub(super) const fn held(&self) -> usize {
        if let Reader::Reads { segments, .. } = &self.reader { segments.held() } else { 0 }
    }

    /// Whose answer is whose is not known any more.
    pub(super) fn forget(&mut self) {
        self.awaited.clear();
    }

    /// A request was found, and shown to some.
    pub(super) fn wait(&mut self, copied: &Copied, shown: Shown) {
        match copied {
            Copied::Http1 { .. } => {
                if self.awaited.len() >= MOST {
                    self.awaited.clear();
                }
                self.awaited.push_back(shown);
            }
            Copied::Http2 { .. } if shown.is_empty() || matches!(self.reader, Reader::Over) => {}
            Copied::Http2 { stream, .. } => {
                if let Some(Stream::Answered(status)) = self.streams.remove(stream) {
                    told(&shown, status);
                } else {
                    self.remember(*stream, Stream::Awaited(shown));
                }
            }
        }
    }

    /// How a packet of HTTP/1 begins.
    pub(super) fn http1(&mut self, begins: &[u8]) {
        let digits = begins.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        if let Some(status @ (101 | 200..)) = status {
            told(&self.awaited.pop_front().unwrap_or_default(), status);
        }
    }

    /// A packet of HTTP/2.
    pub(super) fn http2(&mut self, part: &Part<'_>) {
        let Part { seq, payload, missing } = *part;
        if matches!(self.reader, Reader::Begins) && copies::Answers::begin_with(payload) {
            self.reader =
                Reader::Reads { segments: Segments::new(seq), answers: Box::default(), has_gap: false };
        }
        let mut found = Vec::new();
        let Reader::Reads { segments, answers, .. } = &mut self.reader else { return };
        let mut goes_on = true;
        let fits = segments.take(seq, payload, missing, |piece| {
            goes_on = goes_on && answers.next(piece, |stream, status| found.push((stream, status)));
        });
        if !goes_on || !fits || segments.held() > MOST_HELD {
            self.reader = Reader::Over;
            self.streams.clear();
        }
        for (stream, status) in found {
            match self.streams.remove(&stream) {
                Some(Stream::Awaited(shown)) => told(&shown, status),
                Some(Stream::Answered(_)) => {}
                None => self.remember(stream, Stream::Answered(status)),
            }
        }
    }

    /// Gives up what is missing for long: to be asked now and then.
    pub(super) fn sweep(&mut self) {
        let Reader::Reads { segments, has_gap, .. } = &mut self.reader else { return };
        let is_missing = segments.gap().is_some();
        if std::mem::replace(has_gap, is_missing) && is_missing {
            self.reader = Reader::Over;
            self.streams.clear();
        }
    }

    fn remember(&mut self, stream: u32, what: Stream) {
        if self.streams.len() >= MOST {
            self.streams.clear();
        }
        self.streams.insert(stream, what);
    }
}

fn told(shown: &[Arc<Asked>], status: u16) {
    shown.iter().for_each(|asked| asked.by_app(status));
}
