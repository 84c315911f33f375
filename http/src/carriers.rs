//! Finds the key in the default carriers: the header `x-byway-key`, the W3C baggage member `byway-key`, the
//! cookie `byway-key`, in this order. The first one that holds a valid key wins.
//!
//! What is not a valid key is passed over, never an error: a malformed baggage member hides no other.

use std::borrow::Cow;

use byway_api::Key;

use crate::{Header, framing::trim};

#[cfg(test)]
mod tests;

/// Name of the header that carries nothing but the key.
pub const HEADER: &str = "x-byway-key";
/// Name of the baggage member and of the cookie.
pub const MEMBER: &str = "byway-key";

/// A key as it was found; valid by [`Key::is_valid`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// The key. Owned only where a baggage value had to be decoded.
    pub key: Cow<'a, str>,
    /// What carried it.
    pub carrier: Carrier,
}

/// A default carrier, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carrier {
    /// `x-byway-key: KEY`.
    Header,
    /// `baggage: byway-key=KEY`.
    Baggage,
    /// `cookie: byway-key=KEY`.
    Cookie,
}

impl Carrier {
    /// The header that it is in.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Header => HEADER,
            Self::Baggage => "baggage",
            Self::Cookie => "cookie",
        }
    }

    fn of(name: &str) -> Option<Self> {
        // By length first: nearly every header is none of them.
        let carrier = match name.len() {
            11 => Self::Header,
            7 => Self::Baggage,
            6 => Self::Cookie,
            _ => return None,
        };
        name.eq_ignore_ascii_case(carrier.header()).then_some(carrier)
    }

    fn find(self, value: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Header => key(value).map(Cow::Borrowed),
            Self::Baggage => in_baggage(value),
            Self::Cookie => in_cookie(value).map(Cow::Borrowed),
        }
    }
}

/// Whether a header of this name is a default carrier.
#[must_use]
pub fn can_carry(name: &str) -> bool {
    Carrier::of(name).is_some()
}

/// The key that a request carries in a default carrier.
#[must_use]
pub fn carried_key<'a>(headers: &[Header<'a>]) -> Option<Carried<'a>> {
    let mut best: Option<Carried<'a>> = None;
    for header in headers {
        let Some(carrier) = Carrier::of(header.name) else {
            continue;
        };
        if best.as_ref().is_some_and(|it| it.carrier <= carrier) {
            continue;
        }
        if let Some(key) = carrier.find(header.value) {
            best = Some(Carried { key, carrier });
            if carrier == Carrier::Header {
                break;
            }
        }
    }
    best
}

/// <https://www.w3.org/TR/baggage/>: `member *( OWS "," OWS member )`, a member being
/// `name OWS "=" OWS value *( OWS ";" OWS property )`.
fn in_baggage(value: &[u8]) -> Option<Cow<'_, str>> {
    members(value, b',').find_map(|member| {
        let member = member.split(|b| *b == b';').next()?;
        let value = value_of(member)?;
        key(value).map(Cow::Borrowed).or_else(|| {
            let decoded = percent_decoded(value)?;
            key(&decoded).map(|key| Cow::Owned(key.to_owned()))
        })
    })
}

/// RFC 6265, 4.2.1, with blanks where clients put them, and the quotes that its grammar allows.
fn in_cookie(value: &[u8]) -> Option<&str> {
    members(value, b';').find_map(|pair| {
        let value = value_of(pair)?;
        let bare = value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(value);
        key(bare)
    })
}

fn members(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    value.split(move |b| *b == separator)
}

/// The value of `byway-key=VALUE`, without blanks around it.
fn value_of(pair: &[u8]) -> Option<&[u8]> {
    let rest = trim(pair).strip_prefix(MEMBER.as_bytes())?;
    trim(rest).strip_prefix(b"=").map(trim)
}

fn key(value: &[u8]) -> Option<&str> {
    let value = trim(value);
    if Key::is_valid(value) { std::str::from_utf8(value).ok() } else { None }
}

/// `None` where nothing is encoded, an escape is malformed, or the result is too long for a key anyway.
fn percent_decoded(value: &[u8]) -> Option<Vec<u8>> {
    if !value.contains(&b'%') || value.len() > 3 * Key::MAX_LEN {
        return None;
    }
    let hex = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16)).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next())? << 4 | hex(bytes.next())?,
            byte => *byte,
        });
    }
    Some(decoded)
}
