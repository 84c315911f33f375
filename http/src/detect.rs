//! What a connection speaks, by its first bytes, as early as that is certain.
//!
//! Text protocols whose client waits for an answer to its first line (`HELO x`, `get key`) must not be held
//! up until a head is complete, so the whole request line is judged, byte by byte, and not just the method.

use crate::Doubt;
use byway_api::matching::is_token_char;

#[cfg(test)]
mod tests;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// Nothing certain yet.
    NeedMore,
    /// A request line of HTTP/1.0 or HTTP/1.1, or enough of one.
    Http1,
    /// The client preface of HTTP/2 (RFC 9113, 3.4).
    Http2,
    /// Nothing that is read here.
    Opaque(Doubt),
}

/// What a client of HTTP/2 says first (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// First byte of a TLS record with a handshake (RFC 8446, 5.1). No method begins with it.
const TLS_HANDSHAKE: u8 = 0x16;
/// The longest method registered with IANA has 17 characters.
const MAX_METHOD: usize = 32;
/// A line that is fine so far is taken for HTTP/1 at this length. So a client that sends byte by byte makes
/// us look through no more than this much each time.
const ENOUGH: usize = 1024;

/// Judges the first bytes of a connection. The same however they are cut: what was decided stays so with more.
#[must_use]
pub fn detect(bytes: &[u8]) -> Detected {
    if bytes.starts_with(PREFACE) {
        return Detected::Http2;
    }
    if PREFACE.starts_with(bytes) {
        return Detected::NeedMore;
    }
    if bytes[0] == TLS_HANDSHAKE {
        return Detected::Opaque(Doubt::Tls);
    }
    match request_line(&bytes[..bytes.len().min(ENOUGH)]) {
        Ok(true) => Detected::Http1,
        Ok(false) if bytes.len() >= ENOUGH => Detected::Http1,
        Ok(false) => Detected::NeedMore,
        Err(doubt) => Detected::Opaque(doubt),
    }
}

/// Whether `line` holds a whole request line; `Err` as soon as it cannot become one.
fn request_line(line: &[u8]) -> Result<bool, Doubt> {
    let method = line.iter().take_while(|b| is_token_char(**b)).count();
    match line.get(method) {
        _ if method > MAX_METHOD => return Err(Doubt::NotHttp),
        None => return Ok(false),
        Some(b' ') if method > 0 => {}
        Some(b'\r') if method == 0 => return Err(Doubt::EmptyLine),
        Some(b'\n') if method == 0 => return Err(Doubt::BareLf),
        Some(_) => return Err(Doubt::NotHttp),
    }
    let rest = &line[method + 1..];
    let target = rest.iter().take_while(|b| matches!(b, b'!'..=b'~' | 0x80..)).count();
    match rest.get(target) {
        None => return Ok(false),
        Some(b' ') if target > 0 => {}
        Some(0) => return Err(Doubt::NulByte),
        Some(_) => return Err(Doubt::NotHttp),
    }
    version(&rest[target + 1..])
}

fn version(rest: &[u8]) -> Result<bool, Doubt> {
    for (i, wanted) in b"HTTP/1.#\r\n".iter().enumerate() {
        match (wanted, rest.get(i)) {
            (_, None) => return Ok(false),
            (wanted, Some(found)) if wanted == found => {}
            (b'#', Some(b'0' | b'1')) => {}
            (b'1' | b'#', Some(b'0'..=b'9')) => return Err(Doubt::BadVersion),
            (b'\r', Some(b'\n')) => return Err(Doubt::BareLf),
            (b'\n', Some(found)) if *found != b'\n' => return Err(Doubt::BareCr),
            _ => return Err(Doubt::NotHttp),
        }
    }
    Ok(true)
}
