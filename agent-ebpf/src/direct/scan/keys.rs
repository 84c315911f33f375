//! Whether a key stands in a header's value.

use core::{
    ffi::c_void,
    ptr::{addr_of, addr_of_mut, read_volatile as read, write_volatile as write},
};

use aya_ebpf::helpers::bpf_loop;
use byway_abi::direct::{MAX_SCAN, bloom_bit, hash_byte};

use super::{
    head::{BY, KEY, Scan, byte_of, byte_of8k, forget, opaque, start_of, word_within},
    words::{ONES, TOPS},
};
use crate::{
    direct::SCRATCH,
    maps::{FILTER, KEYS},
};

/// Whether a key may stand between `from` and `to`; with `only_by` only where the letters `by` of `byway-key` do.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn find_keys(salt: u64, from: u32, to: u32, only_by: u32) -> i32 {
    let (Some(scratch), Some(filter)) = (SCRATCH.get_ptr_mut(0), FILTER.get_ptr(0)) else { return 1 };
    // SAFETY: values of maps; the context outlives the loops.
    unsafe {
        let head = addr_of_mut!((*scratch).head);
        write(addr_of_mut!((*head).percent), 0);
        let mut scan = Scan {
            head,
            filter,
            salt,
            hash: 0,
            found: 0,
            is_first: 0,
            has_length: 0,
            from,
            to,
            token_len: 0,
            seen: 0,
            pad: 0,
        };
        if only_by == 1 {
            bpf_loop((MAX_SCAN / 56) as u32 + 1, find_by as *mut c_void, (&raw mut scan).cast(), 0);
            if read(&raw const scan.seen) & BY == 0 {
                return 0;
            }
            scan.from = from;
        }
        bpf_loop((MAX_SCAN / 32) as u32 + 2, tokens as *mut c_void, (&raw mut scan).cast(), 0);
        let seen = read(&raw const scan.seen);
        // An encoded value is decoded by the agent.
        let is_encoded = read(addr_of!((*head).percent)) == 1;
        i32::from(seen & KEY != 0 || (only_by == 1 && is_encoded))
    }
}

/// Up to 56 bytes: `by` in it?
unsafe extern "C" fn find_by(_: u32, s: *mut Scan) -> i64 {
    // SAFETY: as in `line`.
    unsafe {
        let head = (*s).head;
        let at = start_of(head, s);
        if at >= read(&raw const (*s).to) as usize || at >= MAX_SCAN {
            return 1;
        }
        let mut found = 0;
        for n in 0..8 {
            let w = word_within(head, at, n * 7); // a byte is looked at twice, so that no pair is torn
            let pair = (w ^ ONES * u64::from(b'b')) | ((w >> 8) ^ ONES * u64::from(b'y'));
            found |= pair.wrapping_sub(ONES) & !pair & TOPS;
        }
        if found != 0 {
            (*s).seen |= BY;
            return 1;
        }
        (*s).from = at as u32 + 56;
        0
    }
}

/// Up to 32 bytes of tokens.
unsafe extern "C" fn tokens(_: u32, s: *mut Scan) -> i64 {
    // SAFETY: as in `line`.
    unsafe {
        let (head, filter) = ((*s).head, (*s).filter);
        let at = start_of(head, s);
        if at >= read(&raw const (*s).to) as usize || at >= MAX_SCAN {
            return 1;
        }
        // The verifier would follow each length of a token on its own.
        let zero = forget(head, 0) as u64;
        let mut len = u64::from(read(&raw const (*s).token_len)) + zero;
        let mut hash = read(&raw const (*s).hash) ^ zero;
        let lengths = read(addr_of!((*filter).lengths));
        let bytes = addr_of!((*head).bytes).cast::<u8>().add(opaque(at));
        for n in 0..32 {
            let c = read(bytes.add(n));
            if byte_of(addr_of!((*filter).token), u32::from(c)) == 1 {
                hash = hash_byte(hash, c);
                len += 1;
                continue;
            }
            if c == b'%' {
                write(addr_of_mut!((*head).percent), 1);
            }
            // A longer one that has the length of a key by chance does not have its hash.
            if lengths >> (len & 63) & 1 == 1 {
                let key = hash ^ (*s).salt;
                let bit = bloom_bit(key);
                let is_there = byte_of8k(addr_of!((*filter).bloom), bit >> 3) >> (bit & 7) & 1 == 1;
                if is_there && KEYS.get(key).is_some() {
                    (*s).seen |= KEY;
                    return 1;
                }
            }
            (len, hash) = (zero, zero);
        }
        (*s).token_len = len as u32;
        (*s).hash = hash;
        (*s).from = at as u32 + 32;
        0
    }
}
