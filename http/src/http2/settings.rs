//! The first frame of a server, by which it says that it speaks HTTP/2: SETTINGS (RFC 9113, 3.4).

#[cfg(test)]
mod tests;

/// What the first bytes of a server say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPreface {
    /// Nothing certain yet.
    NeedMore,
    /// It speaks HTTP/2.
    Http2(Http2Settings),
    /// It does not.
    Other,
}

/// Of a server's SETTINGS, what its clients must be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http2Settings {
    /// Most streams at a time (`SETTINGS_MAX_CONCURRENT_STREAMS`); none is as many as one likes.
    pub max_streams: Option<u32>,
    /// Longest head (`SETTINGS_MAX_HEADER_LIST_SIZE`).
    pub max_head: Option<u32>,
    /// Extended CONNECT (RFC 8441, `SETTINGS_ENABLE_CONNECT_PROTOCOL`).
    pub connect_protocol: bool,
}

/// Length of the head of a frame (RFC 9113, 4.1).
const FRAME_HEAD: usize = 9;
/// Length of a setting (RFC 9113, 6.5.1).
const SETTING: usize = 6;
/// Longest frame that may be sent to one who has not said otherwise (RFC 9113, 4.2).
const MAX_FRAME: usize = 16_384;

/// Judges the first bytes of a server. What was decided stays so with more.
#[must_use]
pub fn server_preface(bytes: &[u8]) -> ServerPreface {
    // Length, of which only the last two bytes can be other than 0; type 4; no flags; stream 0.
    let wanted = [Some(0), None, None, Some(4), Some(0), Some(0), Some(0), Some(0), Some(0)];
    if bytes.iter().zip(wanted).any(|(byte, wanted)| wanted.is_some_and(|wanted| wanted != *byte)) {
        return ServerPreface::Other;
    }
    let Some((head, rest)) = bytes.split_at_checked(FRAME_HEAD) else { return ServerPreface::NeedMore };
    let len = usize::from(u16::from_be_bytes([head[1], head[2]]));
    if len % SETTING != 0 || len > MAX_FRAME {
        return ServerPreface::Other;
    }
    match rest.get(..len) {
        Some(settings) => ServerPreface::Http2(Http2Settings::read(settings)),
        None => ServerPreface::NeedMore,
    }
}

impl Http2Settings {
    fn read(payload: &[u8]) -> Self {
        let mut settings = Self::default();
        for setting in payload.chunks_exact(SETTING) {
            let (id, value) = setting.split_at(2);
            let value = value.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
            match id {
                [0, 3] => settings.max_streams = Some(value),
                [0, 6] => settings.max_head = Some(value),
                [0, 8] => settings.connect_protocol = value == 1,
                _ => {}
            }
        }
        settings
    }
}
