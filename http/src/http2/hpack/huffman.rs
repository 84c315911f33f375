//! The Huffman code of RFC 7541, appendix B. It is canonical: the lengths of the codes, in the order of the symbols,
//! are all that has to be known.

/// Of the symbols 0 to 255, and the end of a string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];
const END: u16 = 256;
const LONGEST: usize = 30;

struct Codes {
    /// The symbols by length, then by value.
    symbols: [u16; 257],
    /// Where the symbols of a length begin.
    begin: [u16; LONGEST + 1],
    /// The first code of a length, and the one behind its last: at the top of 32 bits.
    range: [(u32, u64); LONGEST + 1],
    /// What a byte begins with, where that is whole: the symbol and its length.
    short: [(u8, u8); 256],
}

static CODES: Codes = Codes::new();

impl Codes {
    const fn new() -> Self {
        let mut codes = Self {
            symbols: [0; 257],
            begin: [0; LONGEST + 1],
            range: [(0, 0); LONGEST + 1],
            short: [(0, 0); 256],
        };
        let (mut code, mut at, mut len) = (0_u64, 0, 1);
        while len <= LONGEST {
            code <<= 1;
            let shift = 32 - len;
            codes.begin[len] = at as u16;
            codes.range[len].0 = (code << shift) as u32;
            let mut symbol = 0;
            while symbol < LENGTHS.len() {
                if LENGTHS[symbol] as usize == len {
                    codes.symbols[at] = symbol as u16;
                    at += 1;
                    let mut byte = (code << shift) >> 24;
                    while len <= 8 && byte < ((code + 1) << shift) >> 24 {
                        codes.short[byte as usize] = (symbol as u8, len as u8);
                        byte += 1;
                    }
                    code += 1;
                }
                symbol += 1;
            }
            codes.range[len].1 = code << shift;
            len += 1;
        }
        codes
    }

    /// The symbol that `bits` begin with, and its length.
    fn long(&self, bits: u32) -> Option<(u16, usize)> {
        (5..=LONGEST).find_map(|len| {
            let (first, behind) = self.range[len];
            let within = bits >= first && u64::from(bits) < behind;
            within.then(|| {
                (self.symbols[usize::from(self.begin[len]) + ((bits - first) >> (32 - len)) as usize], len)
            })
        })
    }
}

/// Writes what `coded` means behind `to`; whether it means anything.
pub(super) fn decode(coded: &[u8], to: &mut Vec<u8>) -> bool {
    let (mut bits, mut have) = (0_u64, 0);
    let mut bytes = coded.iter();
    loop {
        while have <= 56
            && let Some(byte) = bytes.next()
        {
            bits |= u64::from(*byte) << (56 - have);
            have += 8;
        }
        let (symbol, len) = CODES.short[(bits >> 56) as usize];
        let (symbol, len) = match (usize::from(symbol), usize::from(len)) {
            (_, 0) => match CODES.long((bits >> 32) as u32) {
                Some((symbol, len)) => (symbol, len),
                None => return false,
            },
            (symbol, len) => (symbol as u16, len),
        };
        if len > have {
            // Less than a byte of the end's code fills the last one up (RFC 7541, 5.2).
            return have < 8 && bits == !(u64::MAX.checked_shr(have as u32).unwrap_or(0));
        }
        if symbol == END {
            return false;
        }
        to.push(symbol as u8);
        bits <<= len;
        have -= len;
    }
}
