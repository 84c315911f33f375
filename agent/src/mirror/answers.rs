//! How the app has answered what previews were shown of a connection.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use byway_http::copies::{self, Copied, Segments};

use super::{part::Part, shower::Asked};

/// Most streams whose answer is awaited, or came before all of their request had.
const MOST: usize = 1024;
/// Room for so many is kept where there are none.
const FEW: usize = 16;
/// Whom a stream was shown to takes some so many bytes.
const SHOWN: usize = 128;
/// Most bytes of answers that wait for what was lost before them.
const MOST_HELD: usize = 256 << 10;

/// Nothing is asked or answered for so long behind an answer: then nothing is owed.
const QUIET: Duration = Duration::from_secs(1);

/// One for each preview that was shown a request.
pub(super) type Shown = Vec<Arc<Asked>>;

#[derive(Default)]
pub(super) struct Answers {
    /// Of the last request of HTTP/1.
    awaited: Option<Shown>,
    order: Order,
    /// Of HTTP/2, by their numbers.
    streams: HashMap<u32, Stream>,
    reader: Reader,
}

/// Whether it is known whose answer of HTTP/1 comes next.
#[derive(Default)]
enum Order {
    #[default]
    Known,
    /// Some may be owed, nobody knows how many.
    Unknown,
    /// The same, but nothing was asked since the app has answered then.
    AnsweredAt(Instant),
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
    pub(super) fn held(&self) -> usize {
        let read = match &self.reader {
            Reader::Reads { segments, answers, .. } => segments.held() + answers.held(),
            Reader::Begins | Reader::Over => 0,
        };
        read + self.streams.capacity() * size_of::<(u32, Stream)>() + self.streams.len() * SHOWN
    }

    /// Whose answer is whose is not known any more.
    pub(super) fn forget(&mut self) {
        self.awaited = None;
        self.order = Order::Unknown;
    }

    /// A request was found, and shown to some.
    pub(super) fn wait(&mut self, copied: &Copied, shown: Shown) {
        match copied {
            // Asked ahead, or the answer to the one before was not seen.
            Copied::Http1 { .. } if !self.is_known() || self.awaited.is_some() => self.forget(),
            Copied::Http1 { .. } => self.awaited = Some(shown),
            Copied::Http2 { .. } if shown.is_empty() || matches!(self.reader, Reader::Over) => {}
            Copied::Http2 { stream, .. } => {
                if let Some(Stream::Answered(status)) = self.recall(*stream) {
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
        let Some(status) = status else { return };
        let is_final = matches!(status, 101 | 200..);
        if !self.is_known() {
            self.order = if is_final { Order::AnsweredAt(Instant::now()) } else { Order::Unknown };
        }
        if !is_final {
            return;
        }
        told(&self.awaited.take().unwrap_or_default(), status);
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
        let is_over = !goes_on || !fits || segments.held() > MOST_HELD;
        for (stream, status) in found {
            match self.recall(stream) {
                Some(Stream::Awaited(shown)) => told(&shown, status),
                Some(Stream::Answered(_)) => {}
                None => self.remember(stream, Stream::Answered(status)),
            }
        }
        if is_over {
            self.give_up();
        }
    }

    /// Gives up what is missing for long: to be asked now and then.
    pub(super) fn sweep(&mut self) {
        if matches!(self.order, Order::AnsweredAt(at) if at.elapsed() >= QUIET) {
            self.order = Order::Known;
        }
        let Reader::Reads { segments, has_gap, .. } = &mut self.reader else { return };
        let is_missing = segments.gap().is_some();
        if std::mem::replace(has_gap, is_missing) && is_missing {
            self.give_up();
        }
    }

    const fn is_known(&self) -> bool {
        matches!(self.order, Order::Known)
    }

    fn remember(&mut self, stream: u32, what: Stream) {
        if self.streams.len() >= MOST {
            self.streams = HashMap::new();
        }
        self.streams.insert(stream, what);
    }

    fn recall(&mut self, stream: u32) -> Option<Stream> {
        let what = self.streams.remove(&stream);
        if self.streams.is_empty() {
            self.streams.shrink_to(FEW);
        }
        what
    }

    /// Of HTTP/2 nothing more can be read.
    fn give_up(&mut self) {
        self.reader = Reader::Over;
        self.streams = HashMap::new();
    }
}

fn told(shown: &[Arc<Asked>], status: u16) {
    shown.iter().for_each(|asked| asked.by_app(status));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use byway_http::http2::Fields;

    use super::*;
    use crate::snapshot::Copies;

    /// A preview that answers 200, as far as it is asked.
    struct Preview(Arc<Copies>);

    impl Preview {
        fn differs(&self) -> u64 {
            self.0.status_differs.load(Relaxed)
        }

        fn is_asked(&self, answers: &mut Answers) {
            let asked = Arc::new(Asked::new([self.0.clone(), Arc::default()]));
            asked.by_preview(200);
            answers.wait(&Copied::Http1 { bytes: Vec::new(), head: 0 }, vec![asked]);
        }
    }

    #[test]
    fn the_apps_status_is_compared_with_the_previews() {
        let (mut answers, preview) = (Answers::default(), Preview(Arc::default()));
        for (status, differs) in [("200", 0), ("500", 1), ("103", 1), ("404", 2)] {
            if status != "404" {
                preview.is_asked(&mut answers);
            }
            answers.http1(format!("HTTP/1.1 {status}").as_bytes());
            assert_eq!(preview.differs(), differs, "{status}");
        }
        answers.http1(b"HTTP/1.1 500");
        assert_eq!(preview.differs(), 2, "nobody has asked");
    }

    #[test]
    fn behind_a_status_that_was_not_seen_nothing_is_compared_until_all_is_quiet() {
        let (mut answers, preview) = (Answers::default(), Preview(Arc::default()));
        preview.is_asked(&mut answers);
        for _ in 0..3 {
            preview.is_asked(&mut answers);
            answers.http1(b"HTTP/1.1 500");
            answers.sweep();
        }
        assert_eq!(preview.differs(), 0, "it may be the one's before");
        quiet(&mut answers);
        preview.is_asked(&mut answers);
        answers.http1(b"HTTP/1.1 500");
        assert_eq!(preview.differs(), 1);
    }

    /// Nothing is asked or answered for a while.
    fn quiet(answers: &mut Answers) {
        if let Order::AnsweredAt(at) = &mut answers.order {
            *at = Instant::now().checked_sub(QUIET).unwrap();
        }
        answers.sweep();
    }

    #[test]
    fn however_long_the_app_takes_its_answer_is_not_taken_for_anothers() {
        let (mut answers, preview) = (Answers::default(), Preview(Arc::default()));
        // Asked ahead: the first one's status begins a packet after a while, and the other one's some time later.
        preview.is_asked(&mut answers);
        preview.is_asked(&mut answers);
        quiet(&mut answers);
        preview.is_asked(&mut answers);
        answers.http1(b"HTTP/1.1 500");
        assert_eq!(preview.differs(), 0);
        // Behind `100 Continue` in one packet the status is not seen.
        let mut answers = Answers::default();
        preview.is_asked(&mut answers);
        answers.http1(b"HTTP/1.1 100");
        preview.is_asked(&mut answers);
        answers.http1(b"HTTP/1.1 500");
        answers.http1(b"HTTP/1.1 100");
        quiet(&mut answers);
        preview.is_asked(&mut answers);
        answers.http1(b"HTTP/1.1 500");
        assert_eq!(preview.differs(), 0);
        quiet(&mut answers);
        preview.is_asked(&mut answers);
        answers.http1(b"HTTP/1.1 500");
        assert_eq!(preview.differs(), 1);
    }

    #[test]
    fn what_is_remembered_counts_and_is_forgotten_as_a_whole() {
        let mut answers = Answers::default();
        let ask = |answers: &mut Answers, stream| {
            let copied =
                Copied::Http2 { stream, fields: Fields::default(), body: Vec::new(), trailers: None };
            answers.wait(&copied, vec![Arc::new(Asked::new(Default::default()))]);
        };
        (0..MOST as u32).for_each(|stream| ask(&mut answers, stream));
        assert!(answers.held() > MOST * SHOWN, "{}", answers.held());
        ask(&mut answers, MOST as u32);
        assert!(answers.held() < 2 * SHOWN, "{}", answers.held());
    }

    #[test]
    fn whoever_answers_last_sees_the_other_ones_status() {
        for app_is_first in [true, false] {
            let copies = Arc::<Copies>::default();
            for (app, preview) in [(200, 200), (200, 503), (404, 200)] {
                let asked = Asked::new([copies.clone(), Arc::default()]);
                if app_is_first {
                    asked.by_app(app);
                    asked.by_preview(preview);
                } else {
                    asked.by_preview(preview);
                    asked.by_app(app);
                }
            }
            assert_eq!(copies.counts(), byway_api::Mirrored { sent: 3, dropped: 0, status_differs: 2 });
        }
    }
}
