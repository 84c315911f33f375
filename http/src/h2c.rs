//! The offer to go on in HTTP/2 without TLS (`Upgrade: h2c`; RFC 7540, 3.2). RFC 9113 has removed it, and Java's
//! `HttpClient` and curl make it all the same.
//!
//! Who takes it answers that very request as stream 1, and all that follows on the connection is HTTP/2.

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{RequestHead, head::lines};

#[cfg(test)]
mod tests;

const PROTOCOL: &[u8] = b"h2c";
const SETTINGS: &[u8] = b"http2-settings";
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the client says of itself in an offer, as the payload of a frame of SETTINGS. None where there is no offer.
#[must_use]
pub fn offered(head: &RequestHead<'_, '_>) -> Option<Vec<u8>> {
    let values = |name: &'static [u8]| {
        let named = head.headers.iter().filter(move |it| it.name.as_bytes().eq_ignore_ascii_case(name));
        named.map(|it| it.value)
    };
    let is_offer = head.upgrade && values(b"upgrade").any(names_h2c);
    // The client repeats its settings in a frame; who cannot read these here takes those.
    is_offer.then(|| values(SETTINGS).next().and_then(|it| BASE64.decode(it).ok()).unwrap_or_default())
}

/// Whether a complete head with status 101 takes the offer.
#[must_use]
pub fn is_taken(answer: &[u8]) -> bool {
    header_lines(answer).any(|line| matches!(part_of(line), Some((Part::Upgrade, value)) if names_h2c(value)))
}

/// The complete head of a request, without its offer: nobody who reads it goes on in HTTP/2.
#[must_use]
pub fn without_offer(head: &[u8]) -> Vec<u8> {
    let is_other = |option: &[u8]| !option.eq_ignore_ascii_case(PROTOCOL);
    let offers_others = header_lines(head)
        .any(|line| matches!(part_of(line), Some((Part::Upgrade, value)) if options(value).any(is_other)));
    let stays = |option: &[u8]| {
        !option.eq_ignore_ascii_case(SETTINGS) && (offers_others || !option.eq_ignore_ascii_case(b"upgrade"))
    };
    let mut rest = Vec::with_capacity(head.len());
    rest.extend(lines(head).next().unwrap_or_default());
    rest.extend(b"\r\n");
    for line in header_lines(head) {
        match part_of(line) {
            None => rest.extend([line, b"\r\n"].concat()),
            Some((Part::Settings, _)) => {}
            Some((Part::Upgrade, value)) => write_options(&mut rest, "upgrade", value, is_other),
            Some((Part::Connection, value)) => write_options(&mut rest, "connection", value, stays),
        }
    }
    rest.extend(b"\r\n");
    rest
}

/// A header that an offer is made of.
enum Part {
    Upgrade,
    Settings,
    Connection,
}

fn part_of(line: &[u8]) -> Option<(Part, &[u8])> {
    let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    let part = match () {
        () if is(b"upgrade") => Part::Upgrade,
        () if is(SETTINGS) => Part::Settings,
        () if is(b"connection") => Part::Connection,
        () => return None,
    };
    Some((part, &value[1..]))
}

fn header_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(head).skip(1)
}

fn names_h2c(value: &[u8]) -> bool {
    options(value).any(|option| option.eq_ignore_ascii_case(PROTOCOL))
}

/// The members of a list (RFC 9110, 5.6.1).
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

/// The header with what stays of its list, if anything does.
fn write_options(to: &mut Vec<u8>, name: &str, value: &[u8], stays: impl Fn(&[u8]) -> bool) {
    let left: Vec<&[u8]> = options(value).filter(|option| stays(option)).collect();
    if !left.is_empty() {
        to.extend([name.as_bytes(), b": ", &left.join(&b", "[..]), b"\r\n"].concat());
    }
}
