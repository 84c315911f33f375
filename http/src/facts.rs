//! What the headers of one message say about its framing and its connection, gathered line by line.

use byway_api::matching::is_token_char;

use crate::framing::{Lengths, trim};
use crate::{Doubt, Header, Sender};

/// Gathered in one pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) lengths: Lengths,
    pub(crate) upgrade: bool,
    pub(crate) connection_upgrade: bool,
    pub(crate) expects_continue: bool,
    sender: Sender,
    close: bool,
    keep: bool,
}

impl Facts {
    pub(crate) const fn of(sender: Sender) -> Self {
        Self {
            lengths: Lengths::of(sender),
            upgrade: false,
            connection_upgrade: false,
            expects_continue: false,
            sender,
            close: false,
            keep: false,
        }
    }

    /// Takes in the header of this line; `None` where it is none that all read alike. A value may be anything that a
    /// line can hold: control characters change nothing in where it ends.
    pub(crate) fn line<'b>(&mut self, line: &'b [u8]) -> Option<Header<'b>> {
        let of_name = self.of_names();
        let end = line.iter().position(|byte| !of_name[usize::from(*byte)])?;
        let (name, [b':', value @ ..]) = line.split_at(end) else { return None };
        if name.is_empty() && self.sender == Sender::Client {
            return None;
        }
        let name = std::str::from_utf8(name).ok()?;
        let header = Header { name, value: trim(value) };
        // The length of a name decides which few it can be, so that most headers cost one comparison.
        match name.len() {
            6 if name.eq_ignore_ascii_case("expect") => {
                self.expects_continue |= header.value.eq_ignore_ascii_case(b"100-continue");
            }
            7 if name.eq_ignore_ascii_case("upgrade") => self.upgrade = true,
            10 if name.eq_ignore_ascii_case("connection") => self.connection(header.value),
            14 if name.eq_ignore_ascii_case(CONTENT_LENGTH) => self.lengths.content_length(value),
            17 if name.eq_ignore_ascii_case(TRANSFER_ENCODING) => self.lengths.transfer_encoding(value),
            14 | 17 if self.sender == Sender::Client && is_lookalike(name) => {
                self.lengths.in_doubt(Doubt::LookalikeHeader);
            }
            _ => {}
        }
        Some(header)
    }

    /// RFC 9112, 9.3.
    pub(crate) const fn keep_alive(&self, version: u8) -> bool {
        !self.close && (version == 1 || self.keep)
    }

    /// Under a name beyond the grammar a header of the framing could hide from some servers, and most refuse it. Who
    /// reads an answer with one reads it as a name that he does not know; but there are clients that take a blank in it,
    /// or what is not ASCII, for the end of the headers.
    const fn of_names(&self) -> &'static Bytes {
        match self.sender {
            Sender::Client => &TOKEN,
            Sender::Server => &VISIBLE,
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|b| *b == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep |= option.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }
}

/// Which bytes are of a kind.
type Bytes = [bool; 256];

static TOKEN: Bytes = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        bytes[byte] = is_token_char(byte as u8);
        byte += 1;
    }
    bytes
};

/// But for the colon.
static VISIBLE: Bytes = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        bytes[byte] = (byte as u8).is_ascii_graphic() && byte as u8 != b':';
        byte += 1;
    }
    bytes
};

const CONTENT_LENGTH: &str = "content-length";
const TRANSFER_ENCODING: &str = "transfer-encoding";

/// Gateways that turn headers into variables (CGI, WSGI) read `_` as `-`, so an app behind one would see a framing
/// header where nobody else does.
fn is_lookalike(name: &str) -> bool {
    [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|known| {
        let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-');
        name.len() == known.len() && name.bytes().zip(known.bytes()).all(same)
    })
}
