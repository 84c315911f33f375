//! Finds request heads in bytes that are in doubt, so that a key in them can be counted. This decides nothing: whatever
//! is found, the bytes go on as they came.
//!
//! It forgives what some server might: lines that end in LF alone, folded lines, blanks around names, heads of any
//! length. Where a head may begin is told by how the bytes come: at the first byte of a piece, or behind a head
//! without a body.

use byway_api::matching::is_token_char;

use crate::{Body, Header, MAX_HEAD, RequestHead, RequestKind};

#[cfg(test)]
mod tests;

/// Most bytes of a line that are kept; a longer one is cut.
const MAX_LINE: usize = MAX_HEAD;
/// Most bytes of the headers of one head that are kept.
const MAX_KEPT: usize = MAX_HEAD;
const MAX_METHOD: usize = 32;

/// How far the bytes have been looked through.
#[derive(Debug, Default)]
pub struct LooseScan {
    state: State,
    /// Of the line under way.
    line: Vec<u8>,
}

#[derive(Debug, Default)]
enum State {
    /// A request line may stand here.
    #[default]
    Start,
    Head(Head),
    /// Whatever this is: the next piece may begin with a request.
    Unknown,
}

#[derive(Debug)]
struct Head {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    kept: usize,
    has_body: bool,
}

impl LooseScan {
    /// Looks through the next piece, and hands out each head that it completes, with those of its headers whose names
    /// `asked` wants.
    pub fn look(
        &mut self,
        piece: &[u8],
        asked: impl Fn(&str) -> bool,
        mut found: impl FnMut(&RequestHead<'_, '_>),
    ) {
        if matches!(self.state, State::Unknown) {
            self.state = State::Start;
        }
        let mut rest = piece;
        while !rest.is_empty() && !matches!(self.state, State::Unknown) {
            let end = memchr::memchr(b'\n', rest);
            let (part, behind) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            rest = behind;
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line, &asked, &mut found);
            } else if matches!(self.state, State::Start) && !may_begin_request(&self.line) {
                self.state = State::Unknown;
            }
        }
        if matches!(self.state, State::Unknown) {
            self.line = Vec::new();
        }
    }

    fn take_line(
        &mut self,
        line: &[u8],
        asked: &impl Fn(&str) -> bool,
        found: &mut impl FnMut(&RequestHead<'_, '_>),
    ) {
        let line = trim_end(line);
        match &mut self.state {
            // Empty lines, and what a proxy says ahead of its client (the PROXY protocol).
            State::Start if line.is_empty() || line.starts_with(b"PROXY ") => {}
            State::Start => self.state = Head::begin(line).map_or(State::Unknown, State::Head),
            State::Head(head) if line.is_empty() => {
                head.hand_out(found);
                self.state = if head.has_body { State::Unknown } else { State::Start };
            }
            // For some servers a carriage return alone ends a line.
            State::Head(head) => line.split(|b| *b == b'\r').for_each(|line| head.take_line(line, asked)),
            State::Unknown => {}
        }
    }
}

impl Head {
    fn begin(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line.split(|b| *b == b'\r').next()?);
        let (method, rest) = line.split_once(' ')?;
        let (target, version) = rest.trim().rsplit_once(' ')?;
        let is_request = (1..=MAX_METHOD).contains(&method.len())
            && method.bytes().all(is_token_char)
            && version.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("HTTP/"));
        is_request.then(|| Self {
            method: method.to_owned(),
            target: target.trim().to_owned(),
            headers: Vec::new(),
            kept: 0,
            has_body: false,
        })
    }

    fn take_line(&mut self, line: &[u8], asked: &impl Fn(&str) -> bool) {
        if let (Some(b' ' | b'\t'), Some((_, value))) = (line.first(), self.headers.last_mut()) {
            let more = cut(line, MAX_KEPT - self.kept);
            self.kept += more.len();
            value.extend_from_slice(more);
            return;
        }
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let Ok(name) = std::str::from_utf8(line[..colon].trim_ascii()) else { return };
        let value = line[colon + 1..].trim_ascii();
        self.has_body |= announces_body(name, value);
        let room = (MAX_KEPT - self.kept).saturating_sub(name.len());
        if asked(name) && room > 0 {
            let value = cut(value, room);
            self.kept += name.len() + value.len();
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    fn hand_out(&self, found: &mut impl FnMut(&RequestHead<'_, '_>)) {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(name, value)| Header { name, value: value.trim_ascii() }).collect();
        found(&RequestHead {
            method: &self.method,
            target: self.target.as_bytes(),
            version: 1,
            headers: &headers,
            body: Body::Empty,
            kind: RequestKind::Other,
            expects_continue: false,
            upgrade: false,
            keep_alive: true,
        });
    }
}

/// What of a value is kept: it takes half of the room at most, so that the next one finds some. Half a key would be
/// another one, so what is too long ends with a whole member.
fn cut(value: &[u8], room: usize) -> &[u8] {
    if value.len() <= room / 2 {
        return value;
    }
    let end = value[..room / 2].iter().rposition(|b| matches!(b, b',' | b';' | b' '));
    &value[..end.unwrap_or(0)]
}

/// Whether a request line may begin with these bytes; most of what is none is known by its first ones.
fn may_begin_request(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let method = line.iter().take_while(|b| is_token_char(**b)).count();
    method <= MAX_METHOD && matches!(line.get(method), None | Some(b' '))
}

fn announces_body(name: &str, value: &[u8]) -> bool {
    let is = |known: &str| {
        let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-');
        name.len() == known.len() && name.bytes().zip(known.bytes()).all(same)
    };
    is("transfer-encoding") || (is("content-length") && value != b"0")
}

/// Without what ends a line.
fn trim_end(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\r' | b'\n'] = line {
        line = rest;
    }
    line
}
