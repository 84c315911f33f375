//! Encodes blocks for a decoder that has not seen all that a client has encoded.
//!
//! It knows the table that the decoder has, and says each field in the form in which the client said it: by index where
//! the entry is there, anew where it is not. Strings go on as they came, so nothing is compressed twice.

use super::{
    Form,
    encode::{self, integer},
    table::{Entry, Place, Sizes, Table},
};

#[derive(Debug)]
pub(crate) struct Mirror {
    table: Table,
    /// Sizes that the client has asked for and the decoder has not heard of.
    owed: Option<Sizes>,
    /// As it was before the block under way.
    owed_before: Option<Sizes>,
}

/// Where the name of a literal is.
pub(super) enum Name<'a> {
    /// In the client's table, under this index.
    Known(&'a Place, usize),
    /// Here, as it came.
    Raw(&'a [u8]),
}

impl Mirror {
    pub(super) fn new(table: Table, owed: Option<Sizes>) -> Self {
        Self { table, owed, owed_before: None }
    }

    /// A block begins.
    pub(crate) fn begin(&mut self) {
        self.table.begin();
        self.owed_before = self.owed;
    }

    /// What must stand before a block that changes nothing else.
    pub(crate) fn speak(&mut self, to: &mut Vec<u8>) {
        self.begin();
        self.pay(to);
    }

    /// The block under way does not go to the decoder after all. What it said of sizes is still owed.
    pub(crate) fn undo(&mut self) {
        let sizes = [self.owed_before, self.table.sizes(), self.owed].into_iter().flatten();
        self.owed = sizes.reduce(|all, next| Sizes { least: all.least.min(next.least), last: next.last });
        self.table = self.table.before();
    }

    pub(super) fn resize(&mut self, size: usize) {
        self.owed = Some(Sizes::then(self.owed, size));
    }

    /// A field that the client said by index.
    pub(super) fn indexed(&mut self, place: &Place, index: usize, to: &mut Vec<u8>) {
        self.pay(to);
        let entry = match place {
            Place::Static(_) => return integer(to, 0x80, 7, index),
            Place::Entry(entry) => entry,
        };
        match self.table.index(entry) {
            Some(index) => integer(to, 0x80, 7, index),
            None => {
                encode::literal(to, Form::Kept, entry.name(), entry.value());
                self.table.insert(entry.clone());
            }
        }
    }

    /// A field that the client said in full: `text` is its name decoded, `value` its value as it came.
    pub(super) fn literal(
        &mut self,
        form: Form,
        name: &Name<'_>,
        text: &[u8],
        value: &[u8],
        entry: Option<&Entry>,
        to: &mut Vec<u8>,
    ) {
        self.pay(to);
        let (bits, len) = form.prefix();
        let index = match name {
            Name::Known(Place::Static(_), index) => Some(*index),
            Name::Known(Place::Entry(entry), _) => self.table.index(entry),
            Name::Raw(_) => None,
        };
        integer(to, bits, len, index.unwrap_or(0));
        match name {
            Name::Raw(raw) => to.extend_from_slice(raw),
            Name::Known(..) if index.is_none() => encode::string(to, text),
            Name::Known(..) => {}
        }
        to.extend_from_slice(value);
        if let Some(entry) = entry {
            self.table.insert(entry.clone());
        }
    }

    /// Tells the decoder of sizes (RFC 7541, 4.2).
    fn pay(&mut self, to: &mut Vec<u8>) {
        let Some(Sizes { least, last }) = self.owed.take() else { return };
        for size in (least < last).then_some(least).into_iter().chain([last]) {
            integer(to, 0x20, 5, size);
            self.table.resize(size);
        }
    }
}
