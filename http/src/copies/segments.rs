//! Payloads of TCP put in order by their sequence numbers, however often and in whatever order they came.

/// Most bytes that wait for what is missing before them.
const MOST_WAITING: usize = 1 << 20;

/// What one side has sent.
#[derive(Debug)]
pub struct Segments {
    /// Of the byte that comes next.
    next: u32,
    /// Behind a gap, by their distance from `next`.
    waiting: Vec<(u32, Vec<u8>)>,
    held: usize,
}

impl Segments {
    /// `next` is the sequence number of the first byte.
    #[must_use]
    pub const fn new(next: u32) -> Self {
        Self { next, waiting: Vec::new(), held: 0 }
    }

    /// Takes a payload, and hands on what is in order now. Whether there was room: if not, [`skip`](Self::skip).
    pub fn take(&mut self, seq: u32, payload: &[u8], mut to: impl FnMut(&[u8])) -> bool {
        let ahead = seq.wrapping_sub(self.next).cast_signed();
        if ahead > 0 {
            if self.held + payload.len() > MOST_WAITING {
                return false;
            }
            let next = self.next;
            let at =
                self.waiting.partition_point(|(other, _)| other.wrapping_sub(next) <= ahead.unsigned_abs());
            self.waiting.insert(at, (seq, payload.to_vec()));
            self.held += payload.len();
            return true;
        }
        if let Some(rest) = payload.get(ahead.unsigned_abs() as usize..).filter(|rest| !rest.is_empty()) {
            to(rest);
            self.next = self.next.wrapping_add(rest.len() as u32);
        }
        self.follow(&mut to);
        true
    }

    /// How many bytes are missing before some that came.
    #[must_use]
    pub fn gap(&self) -> Option<u32> {
        self.waiting.first().map(|(seq, _)| seq.wrapping_sub(self.next))
    }

    /// Goes on behind a gap. What follows it is handed on.
    pub fn skip(&mut self, mut to: impl FnMut(&[u8])) {
        if let Some((seq, _)) = self.waiting.first() {
            self.next = *seq;
            self.follow(&mut to);
        }
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    fn follow(&mut self, to: &mut impl FnMut(&[u8])) {
        while let Some((seq, _)) = self.waiting.first() {
            let behind = self.next.wrapping_sub(*seq).cast_signed();
            if behind < 0 {
                return;
            }
            let (_, payload) = self.waiting.remove(0);
            self.held -= payload.len();
            if let Some(rest) = payload.get(behind.unsigned_abs() as usize..).filter(|rest| !rest.is_empty())
            {
                to(rest);
                self.next = self.next.wrapping_add(rest.len() as u32);
            }
        }
    }
}
