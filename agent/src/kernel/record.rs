//! What a program sends through a ring buffer: a header as it lies in memory, which begins with a connection, and bytes.

use byway_abi::DialKey;

pub(crate) struct Record<'a> {
    header: &'a [u8],
    data: &'a [u8],
}

impl<'a> Record<'a> {
    /// `None`: it is shorter than its header.
    pub(crate) fn split(bytes: &'a [u8], header: usize) -> Option<Self> {
        let (header, data) = bytes.split_at_checked(header)?;
        Some(Self { header, data })
    }

    pub(crate) fn key(&self) -> Option<DialKey> {
        let addr =
            |at: usize| Some([self.word(at)?, self.word(at + 4)?, self.word(at + 8)?, self.word(at + 12)?]);
        Some(DialKey {
            ns: u64::from_ne_bytes(*self.header.first_chunk()?),
            remote: addr(8)?,
            local: addr(24)?,
            remote_port: self.word(40)?,
            local_port: self.word(44)?,
        })
    }

    /// The field that begins at this byte of the header.
    pub(crate) fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(*self.header.get(at..)?.first_chunk()?))
    }

    /// What follows the header.
    pub(crate) fn data(&self, len: u32) -> Option<&'a [u8]> {
        self.data.get(..len as usize)
    }
}
