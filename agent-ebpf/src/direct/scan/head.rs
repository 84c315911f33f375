//! A head in the memory of a map, and ways to read it that the verifier follows.

use core::{
    arch::asm,
    ptr::{addr_of, addr_of_mut, read_volatile as read, write_volatile as write},
};

use byway_abi::direct::{Filter, MAX_SCAN};

/// Room behind the bytes: they are read eight and thirty-two at a time.
const SLACK: usize = 64;

/// A head, and how far it has been looked through.
#[repr(C)]
pub(in crate::direct) struct Head {
    pub(in crate::direct) bytes: [u8; MAX_SCAN + SLACK],
    /// What is left to look at begins here, and the line does there.
    pub(in crate::direct) at: u32,
    pub(in crate::direct) line: u32,
    pub(in crate::direct) len: u32,
    spare: u32,
    /// 1: something is percent-encoded.
    pub(in crate::direct) percent: u32,
    pad: u32,
    pub(in crate::direct) result: Scanned,
}

/// What is known of a request.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in crate::direct) struct Scanned {
    /// Length of the head, and of the body.
    pub(in crate::direct) head: u32,
    pub(in crate::direct) body: u32,
    /// 1: a HEAD.
    pub(in crate::direct) is_head: u32,
    /// [`Reason`], where it is handed up.
    pub(in crate::direct) reason: u32,
}

impl Scanned {
    pub(in crate::direct) const NOTHING: Self = Self { head: 0, body: 0, is_head: 0, reason: 0 };
}

/// On the stack, for the bodies of loops.
#[repr(C)]
pub(super) struct Scan {
    pub(super) head: *mut Head,
    pub(super) filter: *const Filter,
    pub(super) salt: u64,
    pub(super) hash: u64,
    pub(super) found: i32,
    pub(super) is_first: u32,
    pub(super) has_length: u32,
    /// Of a token, or of digits.
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) token_len: u32,
    /// Something of note.
    pub(super) seen: u32,
    pub(super) pad: u32,
}

pub(super) const BY: u32 = 1;
pub(super) const KEY: u32 = 4;
pub(super) const ODD: u32 = 8;

/// Where the body of a loop begins.
#[inline(always)]
pub(super) unsafe fn start_of(head: *mut Head, s: *mut Scan) -> usize {
    // SAFETY: the caller's.
    unsafe { forget(head, read(&raw const (*s).from) as usize) }
}

/// Puts a number through memory of which the verifier knows nothing.
#[inline(always)]
pub(super) unsafe fn forget(head: *mut Head, number: usize) -> usize {
    // SAFETY: a value of a map.
    unsafe {
        write(addr_of_mut!((*head).spare), number as u32);
        read(addr_of!((*head).spare)) as usize
    }
}

/// Keeps LLVM from knowing that two numbers are related, and from testing one in place of the other.
#[inline(always)]
pub(super) fn opaque(mut number: usize) -> usize {
    // SAFETY: a move. One instruction there must be, else two lines of the source share one place in the object.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}

#[inline(always)]
pub(super) unsafe fn word(head: *const Head, at: usize) -> u64 {
    // SAFETY: the caller has compared `at` with the bytes' end, and there is room behind it.
    unsafe { read(addr_of!((*head).bytes).cast::<u8>().add(opaque(at)).cast()) }
}

#[inline(always)]
pub(super) unsafe fn word_within(head: *const Head, at: usize, offset: usize) -> u64 {
    // SAFETY: as above.
    unsafe { read(addr_of!((*head).bytes).cast::<u8>().add(opaque(at)).add(offset).cast()) }
}

#[inline(always)]
pub(super) unsafe fn half(head: *const Head, at: usize) -> u16 {
    // SAFETY: as above.
    unsafe { read(addr_of!((*head).bytes).cast::<u8>().add(opaque(at)).cast()) }
}

#[inline(always)]
pub(super) unsafe fn byte(head: *const Head, at: usize) -> u8 {
    // SAFETY: as above.
    unsafe { read(addr_of!((*head).bytes).cast::<u8>().add(opaque(at))) }
}

#[inline(always)]
pub(super) unsafe fn byte_of(table: *const [u8; 256], at: u32) -> u8 {
    // SAFETY: within the table.
    unsafe { read(table.cast::<u8>().add((at & 255) as usize)) }
}

#[inline(always)]
pub(super) unsafe fn byte_of8k(table: *const [u8; 8192], at: u32) -> u8 {
    // SAFETY: within the table.
    unsafe { read(table.cast::<u8>().add((at & 8191) as usize)) }
}
