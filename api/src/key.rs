//! The key that ties a request to a preview.
//!
//! One grammar for everyone: what is a [`Key`] here can be sent as a header, a baggage member and a cookie
//! without escaping. A key is compared whole and with its case: `pr-1` is neither `pr-12` nor `PR-1`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// A valid key: `[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Box<str>);

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing there.
    #[error("the key is empty: give it 1 to 63 letters, digits, `.`, `_` or `-`")]
    Empty,
    /// More than [`Key::MAX_LEN`] bytes.
    #[error("the key has {0} bytes, at most 63 are allowed: shorten it")]
    TooLong(usize),
    /// A character that is never part of a key.
    #[error("the key has {found:?} at byte {at}: only letters, digits, `.`, `_` and `-` are allowed")]
    BadCharacter {
        /// The character.
        found: char,
        /// Byte offset.
        at: usize,
    },
    /// Begins or ends with `.`, `_` or `-`.
    #[error("the key begins or ends with {0:?}: its first and last characters must be letters or digits")]
    BadEnd(char),
}

impl Key {
    /// Most bytes of a key: what fits a Kubernetes label value.
    pub const MAX_LEN: usize = 63;

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `value` is a key, without making one of it.
    #[must_use]
    pub const fn is_valid(value: &[u8]) -> bool {
        let [first, .., last] = value else {
            return matches!(value, [only] if only.is_ascii_alphanumeric());
        };
        if value.len() > Self::MAX_LEN || !first.is_ascii_alphanumeric() || !last.is_ascii_alphanumeric() {
            return false;
        }
        let mut at = 0;
        while at < value.len() {
            if !Self::is_char(value[at]) {
                return false;
            }
            at += 1;
        }
        true
    }

    /// Whether `byte` can be part of a key.
    #[must_use]
    pub const fn is_char(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
    }

    /// Whether `value` holds this key as a token of its own: with no key character on either side.
    #[must_use]
    pub fn is_token_of(&self, value: &[u8]) -> bool {
        tokens(value).any(|token| token == self.0.as_bytes())
    }
}

/// The maximal runs of key characters in `value`: wherever a key could stand, it is one of them.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| !Key::is_char(*byte)).filter(|token| !token.is_empty())
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Err(KeyError::Empty);
        };
        if let Some((at, found)) =
            text.char_indices().find(|(_, c)| !c.is_ascii() || !Self::is_char(*c as u8))
        {
            return Err(KeyError::BadCharacter { found, at });
        }
        if text.len() > Self::MAX_LEN {
            return Err(KeyError::TooLong(text.len()));
        }
        for end in [first, last] {
            if !end.is_ascii_alphanumeric() {
                return Err(KeyError::BadEnd(end));
            }
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.into()
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
