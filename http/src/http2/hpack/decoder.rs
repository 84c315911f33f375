//! Decodes blocks, one after another, and remembers what they put into the table.

use Undecodable::Broken;

use super::{
    Form, huffman,
    mirror::{Mirror, Name},
    table::{Entry, Place, Table},
};
use crate::http2::fields::Fields;

/// The largest table that is followed. Servers that allow more are rare, and clients that use it rarer.
const LARGEST: usize = 64 * 1024;

/// A block that cannot be decoded. What follows on its connection cannot be either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// Nobody could.
    Broken,
    /// It makes the table larger than is followed.
    Table,
}

#[derive(Debug, Default)]
pub(crate) struct Decoder {
    table: Table,
}

impl Decoder {
    /// Bytes that the table takes, as RFC 7541, 4.1, counts them; also those that it needs to tell how it was.
    pub(crate) const fn held(&self) -> usize {
        self.table.held()
    }

    /// Reads a whole block into `fields`, and writes it anew by way of `mirror`.
    pub(crate) fn decode(
        &mut self,
        block: &[u8],
        fields: &mut Fields,
        mirror: Option<(&mut Mirror, &mut Vec<u8>)>,
    ) -> Result<(), Undecodable> {
        self.table.begin();
        fields.clear();
        let decoded = self.read(block, fields, mirror);
        if decoded.is_err() {
            fields.clear(); // of the last one only half is there
        }
        decoded
    }

    fn read(
        &mut self,
        block: &[u8],
        fields: &mut Fields,
        mut mirror: Option<(&mut Mirror, &mut Vec<u8>)>,
    ) -> Result<(), Undecodable> {
        let mut rest = block;
        while let Some(first) = rest.first().copied() {
            if first & 0x80 != 0 {
                let index = integer(&mut rest, 7)?;
                let place = self.place(index)?;
                let (name, value) = place.both();
                fields.push(name, value);
                if let Some((mirror, to)) = &mut mirror {
                    mirror.indexed(&place, index, to);
                }
                continue;
            }
            let (form, bits) = match first {
                0x40.. => (Form::Kept, 6),
                0x20.. => {
                    let size = integer(&mut rest, 5)?;
                    if size > LARGEST {
                        return Err(Undecodable::Table);
                    }
                    self.table.resize(size);
                    if let Some((mirror, _)) = &mut mirror {
                        mirror.resize(size);
                    }
                    continue;
                }
                0x10.. => (Form::Never, 4),
                _ => (Form::Plain, 4),
            };
            let index = integer(&mut rest, bits)?;
            let place = if index == 0 { None } else { Some(self.place(index)?) };
            let field = fields.begin();
            let name = match &place {
                Some(place) => {
                    fields.add(place.both().0);
                    Name::Known(place, index)
                }
                None => Name::Raw(string(&mut rest, fields)?),
            };
            fields.value();
            let value = string(&mut rest, fields)?;
            let (known, text) = fields.last();
            let entry = (form == Form::Kept).then(|| Entry::new(known, text));
            if let Some((mirror, to)) = &mut mirror {
                mirror.literal(form, &name, known, value, entry.as_ref(), to);
            }
            if let Some(entry) = entry {
                self.table.insert(entry);
            }
            fields.end(field, form == Form::Never);
        }
        Ok(())
    }

    /// What a client's first block that did not go on to its server leaves that server with.
    pub(crate) fn mirror(&self) -> Mirror {
        Mirror::new(self.table.before(), self.table.sizes())
    }

    fn place(&self, index: usize) -> Result<Place, Undecodable> {
        self.table.place(index).ok_or(Broken)
    }
}

/// RFC 7541, 5.1, up to what a length or an index can sensibly be.
fn integer(bytes: &mut &[u8], bits: u32) -> Result<usize, Undecodable> {
    let (first, mut rest) = bytes.split_first().ok_or(Broken)?;
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & most;
    if value == most {
        for shift in (0..=28).step_by(7) {
            let (byte, behind) = rest.split_first().ok_or(Broken)?;
            rest = behind;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                *bytes = rest;
                return Ok(value);
            }
        }
        return Err(Broken);
    }
    *bytes = rest;
    Ok(value)
}

/// Adds a string to the field under way, and gives it as it came, its length and all (RFC 7541, 5.2).
fn string<'a>(bytes: &mut &'a [u8], fields: &mut Fields) -> Result<&'a [u8], Undecodable> {
    let whole = *bytes;
    let is_coded = whole.first().ok_or(Broken)? & 0x80 != 0;
    let len = integer(bytes, 7)?;
    let (text, rest) = bytes.split_at_checked(len).ok_or(Broken)?;
    *bytes = rest;
    if is_coded {
        if !huffman::decode(text, fields.bytes()) {
            return Err(Broken);
        }
    } else {
        fields.add(text);
    }
    Ok(&whole[..whole.len() - rest.len()])
}
