//! Files, and files as text. Editors and shells of other systems put a byte order mark before it, or write UTF-16.

use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Most bytes of one file. No object of Kubernetes takes more.
const MOST: u64 = 1 << 20;

/// What is in a file.
///
/// # Errors
///
/// When it cannot be read, is too long, or is no text.
pub fn read(path: &Path) -> Result<String> {
    decode(&open(path)?)
}

/// A file as it is.
///
/// # Errors
///
/// When it cannot be read, or is too long.
pub fn open(path: &Path) -> Result<Vec<u8>> {
    whole(std::fs::File::open(path)?)
}

/// What comes from somewhere, to its end.
///
/// # Errors
///
/// When it cannot be read, or has none.
pub fn whole(from: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if from.take(MOST + 1).read_to_end(&mut bytes)? as u64 > MOST {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            "it has more than 1 MiB, which no object of Kubernetes takes",
        ));
    }
    Ok(bytes)
}

/// Whether brackets open so many times, each within the one before, that parsers take minutes to find that out.
#[must_use]
pub fn is_too_deep(text: &str) -> bool {
    const MOST: usize = 1000;
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MOST
    })
}

/// Bytes of a file, without the mark.
///
/// # Errors
///
/// When they are no text.
pub fn decode(bytes: &[u8]) -> Result<String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty())
    };
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    };
    text.ok_or_else(|| Error::new(ErrorKind::InvalidData, "it is not text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_read_for_ever() {
        assert_eq!(whole(std::io::repeat(0).take(MOST)).unwrap().len() as u64, MOST);
        assert!(whole(std::io::repeat(0)).unwrap_err().to_string().contains("more than 1 MiB"));
        assert!(read(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn only_what_is_absurd_is_too_deep() {
        assert!(is_too_deep(&"[".repeat(1001)) && is_too_deep(&"{\"a\": [".repeat(600)));
        assert!(!is_too_deep(&"[{}]".repeat(10_000)) && !is_too_deep(&"]".repeat(10_000)));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let wide =
            |unit: fn(u16) -> [u8; 2]| "\u{FEFF}{ä}".encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        for bytes in ["{ä}".into(), "\u{FEFF}{ä}".into(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            assert_eq!(decode(&bytes).unwrap(), "{ä}", "{bytes:?}");
        }
        assert_eq!(decode(b"").unwrap(), "");
        for bytes in [&b"\xFF"[..], b"\xFF\xFE{", b"\xFE\xFF\xD8\x00"] {
            assert!(decode(bytes).unwrap_err().to_string().contains("not text in UTF-8"), "{bytes:?}");
        }
    }
}
