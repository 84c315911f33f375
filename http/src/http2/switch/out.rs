//! What is to be sent to a side, and has not been taken yet.

/// The largest buffer that is kept while nothing waits.
const MOST_KEPT: usize = 2048;

/// Bytes that have been taken and are still in the buffer, of a side that is never done.
const MOST_SENT: usize = 64 * 1024;

/// Bytes for one side.
#[derive(Debug, Default)]
pub struct Out {
    pub(super) bytes: Vec<u8>,
    sent: usize,
}

impl Out {
    /// What is to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// How much waits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// The first `len` bytes have been taken.
    pub fn advance(&mut self, len: usize) {
        self.sent += len;
        if self.is_empty() {
            self.clear();
            if self.bytes.capacity() > MOST_KEPT {
                self.bytes = Vec::new();
            }
        } else if self.sent >= MOST_SENT {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Nobody is there to take it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }
}
