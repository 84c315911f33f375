//! Eight bytes at a time: each of these says of which bytes something is true, by the top bit of each.

pub(super) const ONES: u64 = 0x0101_0101_0101_0101;
pub(super) const TOPS: u64 = ONES << 7;
pub(super) const BLANKS: u64 = ONES * b' ' as u64;

/// Bytes that `byway_http::request` refuses in a target, and all that are not ASCII.
#[inline(always)]
pub(super) fn odd_in_target(w: u64) -> u64 {
    // Pairs that differ by one bit: blank and backquote, `"` and `#`, `<` and `>`.
    same(w | ONES * 0x40, b'`') | same(w | ONES, b'#') | same(w | ONES * 2, b'>') | w & TOPS
}

/// Bytes below a blank, and DEL; exact up to the first one.
#[inline(always)]
pub(super) fn find_controls(w: u64) -> u64 {
    (w.wrapping_sub(BLANKS) | w.wrapping_add(ONES)) & !w & TOPS
}

/// Bytes that are `c`, an ASCII character.
#[inline(always)]
pub(super) fn same(w: u64, c: u8) -> u64 {
    let x = (w ^ ONES * c as u64) & !TOPS;
    !(x.wrapping_add(!TOPS) | w) & TOPS
}

/// Bytes that are ASCII letters.
#[inline(always)]
pub(super) fn letters(w: u64) -> u64 {
    let x = (w | BLANKS) & !TOPS;
    x.wrapping_add(ONES * 0x1f) & !x.wrapping_add(ONES * 0x05) & !w & TOPS
}

/// Bytes that are letters, digits, `-` or `_`.
#[inline(always)]
pub(super) fn in_name(w: u64) -> u64 {
    let x = w & !TOPS;
    let digits = x.wrapping_add(ONES * 0x50) & !x.wrapping_add(ONES * 0x46) & !w & TOPS;
    letters(w) | digits | same(w, b'-') | same(w, b'_')
}

/// Which byte of a mask as above is the first.
#[inline(always)]
pub(super) fn first(mask: u64) -> u32 {
    ((mask.wrapping_sub(1) & !mask & ONES).wrapping_mul(ONES) >> 56) as u32 - 1
}
