//! The first frame of a server, by which it says that it speaks HTTP/2: SETTINGS (RFC 9113, 3.4).

#[cfg(test)]
mod tests;

/// What the first bytes of a server say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPreface {
    /// Nothing certain yet.
    NeedMore,
    /// It speaks HTTP/2.
    Http2,
    /// It does not.
    Other,
}

/// Length of a setting (RFC 9113, 6.5.1).
const SETTING: usize = 6;

/// Judges the first bytes of a server. What was decided stays so with more.
#[must_use]
pub fn server_preface(bytes: &[u8]) -> ServerPreface {
    // Length, of which only the last two bytes can be other than 0; type 4; no flags; stream 0.
    let wanted = [Some(0), None, None, Some(4), Some(0), Some(0), Some(0), Some(0), Some(0)];
    if bytes.iter().zip(wanted).any(|(byte, wanted)| wanted.is_some_and(|wanted| wanted != *byte)) {
        return ServerPreface::Other;
    }
    let Some((head, _)) = bytes.split_at_checked(super::frame::HEAD) else { return ServerPreface::NeedMore };
    let len = usize::from(u16::from_be_bytes([head[1], head[2]]));
    if len % SETTING != 0 || len > super::frame::MOST { ServerPreface::Other } else { ServerPreface::Http2 }
}
