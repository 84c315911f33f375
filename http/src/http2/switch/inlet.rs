//! What has come from the client and is not dealt with yet: the frame under way, and the block.

use crate::detect::PREFACE;
use crate::http2::frame::{Head, Walker};

#[derive(Debug, Default)]
pub(super) struct Inlet {
    pub(super) walker: Walker,
    pub(super) reading: Reading,
    /// Of a frame that is not whole yet.
    pub(super) held: Vec<u8>,
    /// A block that is not whole yet.
    pub(super) block: Option<Block>,
    /// That block, of which home has what has come of it.
    pub(super) slow: Option<Slow>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Reading {
    #[default]
    Head,
    /// So much of the preface, behind an upgrade. It goes on as it comes.
    Preface(usize),
    /// So much goes on as it comes.
    Pass(usize),
    /// So much is for nobody.
    Drop(usize),
    /// A frame that is looked at when it is whole.
    Whole(Head),
    /// The length of the padding of a body.
    Padding(Head),
    /// Of the body of a stream that is away.
    Body { stream: u32, left: usize, padding: usize, ended: bool },
}

impl Inlet {
    pub(super) fn at_preface() -> Self {
        Self { reading: Reading::Preface(PREFACE.len()), ..Self::default() }
    }

    /// Nothing that goes home as it comes is under way.
    pub(super) const fn is_between(&self) -> bool {
        !matches!(self.reading, Reading::Pass(_) | Reading::Preface(_)) && self.slow.is_none()
    }
}

/// A block that is not whole yet.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    pub(super) ended: bool,
    pub(super) priority: Vec<u8>,
    pub(super) fragments: Vec<u8>,
    /// Its frames as they came, as far as home does not have them.
    pub(super) raw: Vec<u8>,
}

impl Block {
    pub(super) fn len(&self) -> usize {
        self.raw.len().max(self.fragments.len())
    }
}

/// A block that took too long, and of which home knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slow {
    /// Home gets its bytes as they come. Otherwise it has been told that a block has begun, and gets it encoded anew.
    pub(super) is_raw: bool,
    /// It is the head of a request.
    pub(super) is_request: bool,
}
