//! The fields of a block as they are: bytes, in order, whatever they say.

/// Most bytes of a block that are kept. A longer one cannot be decided, and goes home as it is.
pub(crate) const MOST_BYTES: usize = 256 * 1024;
/// Most fields of a block that are kept.
const MOST_FIELDS: usize = 1024;

/// The fields of one block.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    is_long: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    name: usize,
    value: usize,
    end: usize,
    never: bool,
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name; that of a pseudo-header begins with a colon.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// Whether it is too secret for anybody's table (RFC 7541, 7.1.3).
    pub never: bool,
}

impl Fields {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.spans.iter().map(|span| Field {
            name: &self.bytes[span.name..span.value],
            value: &self.bytes[span.value..span.end],
            never: span.never,
        })
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|field| field.name == name).map(|field| field.value)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Not all of the block is here.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.is_long
    }

    /// What they take of memory.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.is_long = false;
    }

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        if self.bytes.len() + name.len() + value.len() > MOST_BYTES {
            self.is_long = true;
            return;
        }
        let at = self.begin();
        self.add(name);
        self.value();
        self.add(value);
        self.end(at, false);
    }

    /// Begins a field, to which bytes can be added until it [ends](Self::end).
    pub(crate) fn begin(&mut self) -> usize {
        let at = self.bytes.len();
        self.spans.push(Span { name: at, value: at, end: at, never: false });
        at
    }

    /// What is added from here on is the value.
    pub(crate) fn value(&mut self) {
        let at = self.bytes.len();
        if let Some(span) = self.spans.last_mut() {
            span.value = at;
        }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Name and value of the field under way.
    pub(crate) fn last(&self) -> (&[u8], &[u8]) {
        let span = self.spans.last().copied().unwrap_or_default();
        (&self.bytes[span.name..span.value], &self.bytes[span.value..])
    }

    /// The field is whole. If there are too many it is forgotten.
    pub(crate) fn end(&mut self, begin: usize, never: bool) {
        let end = self.bytes.len();
        self.is_long |= end > MOST_BYTES || self.spans.len() > MOST_FIELDS;
        if self.is_long {
            self.bytes.truncate(begin);
            self.spans.pop();
        } else if let Some(span) = self.spans.last_mut() {
            (span.end, span.never) = (end, never);
        }
    }
}
