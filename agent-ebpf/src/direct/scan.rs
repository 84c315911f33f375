//! Looks through a request head: where it ends, how long the body is, and whether anything in it may be a key.
//!
//! Strict, and never a guess: what it takes for a request, `byway-http` takes for the same one, and would send to the
//! app. Whatever else it meets it hands up. A test runs both over the same bytes.
//!
//! Eight bytes at a time, for this is what a request pays. Two habits are owed to the verifier: positions are kept in the
//! map's memory, so that it knows nothing of them, and all ways through a line are the same to it from there on
//! ([`forget`]); and loops over bytes are `bpf_loop` (kernel 5.17), whose body it looks at once.

mod head;
mod keys;
mod words;

use core::{
    ffi::c_void,
    ptr::{addr_of, addr_of_mut, read_volatile as read, write_volatile as write},
};

use aya_ebpf::helpers::bpf_loop;
use byway_abi::direct::{MAX_SCAN, Reason, look, name_hash, salt};

use crate::{direct::SCRATCH, maps::FILTER};
pub(super) use head::{Head, Scanned};
use head::{ODD, Scan, byte, byte_of, forget, half, opaque, start_of, word, word_within};
use keys::find_keys;
use words::{BLANKS, TOPS, find_controls, first, in_name, letters, odd_in_target, same};

/// What was found.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The bytes end before the head does.
    Incomplete = 0,
    /// A request for the app.
    Request = 1,
    /// Not for this program to decide.
    Doubt = 2,
    /// No HTTP/1.
    NotHttp = 3,
}

/// Most lines of a head: a request line, `byway_http::MAX_HEADERS`, and the blank one.
const MAX_LINES: u32 = 130;
/// Most of a line that is looked at in one step.
const STEPS: usize = 24;

/// Looks through the first `len` bytes of the head in the scratch; says what it [`Found`]. Not inlined, and scalars
/// alone go in: the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn scan(len: u32, ns: u64) -> i32 {
    let (Some(scratch), Some(filter)) = (SCRATCH.get_ptr_mut(0), FILTER.get_ptr(0)) else {
        return Found::Doubt as i32;
    };
    // SAFETY: values of maps; the context outlives the loop.
    unsafe {
        let head = addr_of_mut!((*scratch).head);
        if len as usize > MAX_SCAN {
            return Found::Doubt as i32;
        }
        write(addr_of_mut!((*head).at), 0);
        write(addr_of_mut!((*head).line), 0);
        write(addr_of_mut!((*head).len), len);
        let mut scan = Scan {
            head,
            filter,
            salt: salt(ns),
            hash: 0,
            found: -1,
            is_first: 1,
            has_length: 0,
            from: 0,
            to: 0,
            token_len: 0,
            seen: 0,
            pad: 0,
        };
        bpf_loop(MAX_LINES, line as *mut c_void, (&raw mut scan).cast(), 0);
        let found = read(&raw const scan.found);
        if found < 0 { doubt(head, Reason::Incomplete) } else { found }
    }
}

/// One line. 1 ends the loop.
unsafe extern "C" fn line(_: u32, s: *mut Scan) -> i64 {
    // SAFETY: positions are compared with the bytes' end before they are used; the memory behind `len` is the map's too,
    // and what it says leads to `Incomplete`.
    unsafe {
        let head = (*s).head;
        // 64 bits wide throughout: where 32 are widened after they were compared, the verifier forgets what it knew.
        let len = read(addr_of!((*head).len)) as usize;
        let start = read(addr_of!((*head).line)) as usize;
        let mut at = read(addr_of!((*head).at)) as usize;
        if start >= MAX_SCAN || at >= len {
            return stop(s, doubt(head, Reason::Incomplete));
        }
        let mut controls = 0;
        for _ in 0..STEPS {
            if at >= MAX_SCAN - 8 {
                break;
            }
            controls = find_controls(word(head, at));
            if controls != 0 {
                break;
            }
            at += 8;
            controls = find_controls(word(head, at));
            if controls != 0 {
                break;
            }
            at += 8;
        }
        if controls == 0 {
            write(addr_of_mut!((*head).at), at as u32);
            if at >= len || at >= MAX_SCAN - 8 {
                return stop(s, doubt(head, Reason::Incomplete));
            }
            return 0;
        }
        let end = forget(head, at + first(controls) as usize);
        if end + 1 >= len || end >= MAX_SCAN - 1 {
            return stop(s, doubt(head, Reason::Incomplete));
        }
        if half(head, end) != u16::from_le_bytes(*b"\r\n") {
            // `~` behind a byte of 255 is taken for a control character.
            let c = byte(head, end);
            let is_control = c < b' ' || c == 0x7f;
            let is_line_end = c == b'\r' || c == b'\n';
            let found = doubt(head, Reason::Line);
            let is_first = read(&raw const (*s).is_first) == 1;
            let is_none = is_first && is_control && !is_line_end && !begins_with_letters(word(head, 0));
            return stop(s, if is_none { Found::NotHttp as i32 } else { found });
        }
        if read(&raw const (*s).is_first) == 1 {
            (*s).is_first = 0;
            let found = request_line(s, head, end);
            if found != Found::Request as i32 {
                return stop(s, found);
            }
        } else if end == start {
            write(addr_of_mut!((*head).result.head), end as u32 + 2);
            return stop(s, Found::Request as i32);
        } else {
            let found = header(s, head, start, end);
            if found != Found::Request as i32 {
                return stop(s, found);
            }
        }
        write(addr_of_mut!((*head).at), end as u32 + 2);
        write(addr_of_mut!((*head).line), end as u32 + 2);
        0
    }
}

#[inline(always)]
unsafe fn stop(s: *mut Scan, found: i32) -> i64 {
    // SAFETY: the caller's.
    unsafe { write(&raw mut (*s).found, found) };
    1
}

#[inline(always)]
unsafe fn doubt(head: *mut Head, reason: Reason) -> i32 {
    // SAFETY: a value of a map.
    unsafe { write(addr_of_mut!((*head).result.reason), reason as u32) };
    if reason as u32 == Reason::Incomplete as u32 { Found::Incomplete as i32 } else { Found::Doubt as i32 }
}

/// Whether there are only letters up to the first blank of these eight bytes, and at least one.
#[inline(always)]
fn begins_with_letters(bytes: u64) -> bool {
    let space = same(bytes, b' ');
    let below = space.wrapping_sub(1) & !space;
    space & 0x80 == 0 && !letters(bytes) & TOPS & below == 0
}

/// `METHOD SP /TARGET SP HTTP/1.x`, the line that ends at `end`.
#[inline(always)]
unsafe fn request_line(s: *mut Scan, head: *mut Head, end: usize) -> i32 {
    // SAFETY: as in `line`.
    unsafe {
        let version_at = opaque(end.wrapping_sub(8));
        // Shorter than any that is known here; the agent tells.
        if end < 14 || version_at >= MAX_SCAN - 8 {
            return doubt(head, Reason::Line);
        }
        let version = word(head, version_at);
        let method = word(head, 0);
        if version == u64::from_le_bytes(*b"HTTP/2.0") && method == u64::from_le_bytes(*b"PRI * HT") {
            return doubt(head, Reason::Http2);
        }
        if version != u64::from_le_bytes(*b"HTTP/1.1") && version != u64::from_le_bytes(*b"HTTP/1.0") {
            // Other versions, and what a proxy says of its client ahead of a request.
            let is_like = version & 0xff_ffff_ffff == u64::from_le_bytes(*b"HTTP/\0\0\0")
                || method & 0xffff_ffff_ffff == u64::from_le_bytes(*b"PROXY \0\0");
            return if is_like { doubt(head, Reason::Line) } else { Found::NotHttp as i32 };
        }
        let space = same(method, b' ');
        // A target of CONNECT has a form of its own.
        let is_connect = method == u64::from_le_bytes(*b"CONNECT ");
        if is_connect || space == 0 || !begins_with_letters(method) {
            return doubt(head, Reason::Line);
        }
        if method & 0xff_ffff_ffff == u64::from_le_bytes(*b"HEAD \0\0\0") {
            write(addr_of_mut!((*head).result.is_head), 1);
        }
        let target = forget(head, first(space) as usize + 1);
        if target >= MAX_SCAN || byte(head, target) != b'/' {
            return doubt(head, Reason::Line);
        }
        // Its end is the blank before the version.
        let blank = opaque(end.wrapping_sub(9));
        if blank <= target || blank >= MAX_SCAN || byte(head, blank) != b' ' {
            return doubt(head, Reason::Line);
        }
        (*s).from = target as u32;
        (*s).to = blank as u32;
        (*s).seen = 0;
        bpf_loop((MAX_SCAN / 64) as u32 + 1, check_target as *mut c_void, s.cast(), 0);
        if read(&raw const (*s).seen) & ODD != 0 {
            return doubt(head, Reason::Line);
        }
        Found::Request as i32
    }
}

/// Up to 64 bytes of a target: what no parser takes otherwise than another.
unsafe extern "C" fn check_target(_: u32, s: *mut Scan) -> i64 {
    // SAFETY: as in `line`.
    unsafe {
        let head = (*s).head;
        let (at, to) = (start_of(head, s), read(&raw const (*s).to) as usize);
        if at >= to || at >= MAX_SCAN {
            return 1;
        }
        let mut odd = 0;
        for n in 0..8 {
            let (w, left) = (word_within(head, at, n * 8), to.wrapping_sub(at + n * 8));
            // Behind the end: nothing.
            let within = if left as isize <= 0 {
                0
            } else if left < 8 {
                (1_u64 << (left as u64 * 8 & 63)).wrapping_sub(1)
            } else {
                u64::MAX
            };
            odd |= odd_in_target(w) & within;
        }
        if odd != 0 {
            (*s).seen = ODD;
            return 1;
        }
        (*s).from = at as u32 + 64;
        0
    }
}

/// A header line from `start` to `end`.
#[inline(always)]
unsafe fn header(s: *mut Scan, head: *mut Head, start: usize, end: usize) -> i32 {
    // SAFETY: as in `line`.
    unsafe {
        let start = opaque(start);
        if start >= MAX_SCAN - 64 {
            return doubt(head, Reason::Incomplete);
        }
        // The name: letters, digits, `-` and `_` up to the colon; any other is handed up.
        let (mut colon, mut name_len, mut bad) = (0, 0, 0);
        for n in 0..8 {
            let w = word_within(head, start, n * 8);
            colon = same(w, b':');
            bad = !in_name(w) & TOPS;
            if colon != 0 {
                bad &= colon.wrapping_sub(1) & !colon;
                name_len = n * 8 + first(colon) as usize;
                break;
            }
            if bad != 0 {
                break;
            }
        }
        let name_len = forget(head, name_len);
        if colon == 0 || bad != 0 || name_len == 0 || start + name_len >= end {
            return doubt(head, Reason::Line);
        }
        let filter = (*s).filter;
        let four = word_within(head, start, 0) as u32;
        let wanted =
            byte_of(addr_of!((*filter).names), name_hash(four)) | read(addr_of!((*filter).all)) as u8;
        if wanted & look::FRAMING != 0 {
            let found = framing(s, head, start, name_len, end);
            if found != Found::Request as i32 {
                return found;
            }
        }
        if wanted & (look::KEYS | look::MEMBERS) != 0 {
            let only_by = u32::from(wanted & look::KEYS == 0);
            if find_keys((*s).salt, start as u32, end as u32, only_by) != 0 {
                return doubt(head, Reason::Key);
            }
        }
        Found::Request as i32
    }
}

/// The headers that say how long the body is, or that it is none.
#[inline(always)]
unsafe fn framing(s: *mut Scan, head: *mut Head, start: usize, name_len: usize, end: usize) -> i32 {
    // SAFETY: as in `line`.
    unsafe {
        // `-` and `_` alike: some apps take one for the other.
        let a = word_within(head, start, 0) | BLANKS;
        let b = word_within(head, start, 8) | BLANKS;
        let dash = (b'_' | b' ') as u64;
        let underscored = |w: u64, at: u32| w >> (at * 8) & 0xff == dash;
        let six = 0xffff_ffff_ffff;
        let content = u64::from_le_bytes(*b"content-");
        let length = u64::from_le_bytes(*b"length\0\0");
        if name_len == 14 && b & six == length {
            if a != content {
                let is_lookalike = underscored(a, 7) && (a ^ content) << 8 == 0;
                return if is_lookalike { doubt(head, Reason::Framing) } else { Found::Request as i32 };
            }
            if (*s).has_length == 1 {
                return doubt(head, Reason::Framing);
            }
            let mut digits = opaque(start + 15);
            if digits >= MAX_SCAN - 8 {
                return doubt(head, Reason::Incomplete);
            }
            if byte(head, digits) == b' ' {
                digits += 1;
            }
            (*s).from = digits as u32;
            (*s).to = end as u32;
            (*s).hash = 0;
            bpf_loop(11, digit as *mut c_void, s.cast(), 0);
            let (value, at) = (read(&raw const (*s).hash), read(&raw const (*s).from) as usize);
            if at != end || at == digits || value > 0x7f00_0000 {
                return doubt(head, Reason::Framing);
            }
            (*s).has_length = 1;
            write(addr_of_mut!((*head).result.body), value as u32);
            return Found::Request as i32;
        }
        if a == u64::from_le_bytes(*b"transfer") {
            return doubt(head, Reason::Chunked);
        }
        if name_len == 7 && a << 8 == u64::from_le_bytes(*b"\0upgrade") {
            return doubt(head, Reason::Upgrade);
        }
        Found::Request as i32
    }
}

unsafe extern "C" fn digit(n: u32, s: *mut Scan) -> i64 {
    // SAFETY: as in `line`.
    unsafe {
        let head = (*s).head;
        let at = start_of(head, s);
        if n >= 10 || at >= read(&raw const (*s).to) as usize || at >= MAX_SCAN {
            return 1;
        }
        let digit = byte(head, at).wrapping_sub(b'0');
        if digit > 9 {
            return 1;
        }
        (*s).hash = (*s).hash.wrapping_mul(10) + u64::from(digit);
        (*s).from = at as u32 + 1;
        0
    }
}
