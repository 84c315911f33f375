//! Encodes without a table of one's own, so that it can be done on a connection whose table is somebody else's.

use super::{Form, statics};
use crate::http2::fields::Fields;

/// All fields, as literals.
pub(crate) fn encode(fields: &Fields, to: &mut Vec<u8>) {
    for field in fields.iter() {
        literal(to, if field.never { Form::Never } else { Form::Plain }, field.name, field.value);
    }
}

/// One field. In a form that is not kept, it changes nobody's table.
pub(crate) fn literal(to: &mut Vec<u8>, form: Form, name: &[u8], value: &[u8]) {
    if form == Form::Plain
        && let Some(index) = statics::field(name, value)
    {
        return integer(to, 0x80, 7, index);
    }
    let (bits, len) = form.prefix();
    match statics::name(name) {
        Some(index) => integer(to, bits, len, index),
        None => {
            to.push(bits);
            string(to, name);
        }
    }
    string(to, value);
}

pub(super) fn string(to: &mut Vec<u8>, text: &[u8]) {
    integer(to, 0, 7, text.len());
    to.extend_from_slice(text);
}

/// RFC 7541, 5.1: behind `prefix`, in as many bits as that leaves.
pub(super) fn integer(to: &mut Vec<u8>, prefix: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        return to.push(prefix | value as u8);
    }
    to.push(prefix | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}
