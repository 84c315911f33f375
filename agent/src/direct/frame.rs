//! Packets that were held, and packets in their likeness: put together here, with lengths and checksums of their own, and
//! injected as if they had just come.

use byway_abi::direct::Event;

/// TCP flags.
const FIN: u8 = 1;
const ACK: u8 = 16;

/// What the client has got, and what it lets be sent behind that, as a packet says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) ack: u32,
    pub(super) window: u16,
}

/// What was copied of a packet, from its link header on.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    pub(super) interface: u32,
    ip: usize,
    tcp: usize,
    payload: usize,
    /// Sequence number of the first byte.
    pub(super) seq: u32,
    pub(super) said: Said,
    /// Bytes of payload on the wire: more than are here where it was cut.
    len: usize,
}

impl Frame {
    /// `None` when the event does not fit itself.
    pub(super) fn new(event: &Event, bytes: &[u8]) -> Option<Self> {
        let (ip, tcp, payload) = (event.ip as usize, event.tcp as usize, event.payload as usize);
        let in_order = ip + 20 <= tcp && tcp + 20 <= payload && payload <= bytes.len();
        let window = bytes.get(tcp + 14..)?.first_chunk().map(|it| u16::from_be_bytes(*it))?;
        in_order.then(|| Self {
            bytes: bytes.to_vec(),
            interface: event.interface,
            ip,
            tcp,
            payload,
            seq: event.seq,
            said: Said { ack: event.ack, window },
            len: event.len as usize,
        })
    }

    /// What is here of the payload.
    pub(super) fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload..).unwrap_or_default()
    }

    /// The Ethernet type.
    pub(super) fn protocol(&self) -> u16 {
        if self.is_v4() { 0x0800 } else { 0x86dd }
    }

    fn is_v4(&self) -> bool {
        self.bytes[self.ip] >> 4 == 4
    }

    /// The payload from byte `from` up to `to`, in packets of at most `most` bytes of payload each, from a client that says
    /// `said` by now. One without payload goes out when there is a FIN to tell of.
    pub(super) fn pieces(&self, from: usize, to: usize, most: usize, said: Said) -> Vec<Vec<u8>> {
        let payload = self.payload();
        let to = to.min(payload.len());
        let part = payload.get(from.min(to)..to).unwrap_or_default();
        let flags = self.bytes[self.tcp + 13];
        let is_whole = to == self.len;
        let seq = |at: usize| self.seq.wrapping_add((from + at) as u32);
        if part.is_empty() {
            let tells = is_whole && flags & FIN != 0;
            return if tells { vec![self.with(seq(0), said, flags, &[])] } else { Vec::new() };
        }
        let starts = (0..part.len()).step_by(most.max(1));
        let piece = |at: usize| {
            let end = (at + most.max(1)).min(part.len());
            let is_last = is_whole && end == part.len();
            let flags = if is_last { flags } else { flags & !FIN };
            self.with(seq(at), said, flags, &part[at..end])
        };
        starts.map(piece).collect()
    }

    /// The client's end, at `seq`.
    pub(super) fn end(&self, seq: u32, ack: u32) -> Vec<u8> {
        self.with(seq, Said { ack, ..self.said }, FIN | ACK, &[])
    }

    /// An acknowledgement and nothing else.
    pub(super) fn acknowledgement(&self) -> Vec<u8> {
        self.with(self.seq, self.said, ACK, &[])
    }

    fn with(&self, seq: u32, said: Said, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload + payload.len());
        bytes.extend_from_slice(&self.bytes[..self.payload]);
        bytes.extend_from_slice(payload);
        let (tcp, total) = (self.tcp, bytes.len());
        put(&mut bytes, tcp + 4, seq.to_be_bytes());
        put(&mut bytes, tcp + 8, said.ack.to_be_bytes());
        put(&mut bytes, tcp + 14, said.window.to_be_bytes());
        bytes[tcp + 13] = flags;
        let ip = self.ip;
        let mut sum = if self.is_v4() {
            put(&mut bytes, ip + 2, ((total - ip) as u16).to_be_bytes());
            put(&mut bytes, ip + 10, [0; 2]);
            let header = checksum(add(0, &bytes[ip..tcp]));
            put(&mut bytes, ip + 10, header);
            add(0, &bytes[ip + 12..ip + 20])
        } else {
            put(&mut bytes, ip + 4, ((total - tcp) as u16).to_be_bytes());
            add(0, &bytes[ip + 8..ip + 40])
        };
        const TCP: u32 = 6;
        sum += TCP + (total - tcp) as u32;
        put(&mut bytes, tcp + 16, [0; 2]);
        let sum = checksum(add(sum, &bytes[tcp..]));
        put(&mut bytes, tcp + 16, sum);
        bytes
    }
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, what: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&what);
}

/// One's complement sum (RFC 1071).
fn add(sum: u32, bytes: &[u8]) -> u32 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let pairs = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair)));
    sum + pairs.sum::<u32>() + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

fn checksum(mut sum: u32) -> [u8; 2] {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Said = Said { ack: 7, window: 99 };

    fn frame(payload: &[u8]) -> Frame {
        // Ethernet, IPv4 without options, TCP without options.
        let mut bytes = vec![0; 14 + 40];
        bytes[12] = 8;
        bytes[14] = 0x45;
        bytes[23] = 6;
        put(&mut bytes, 26, [10, 0, 0, 1]);
        put(&mut bytes, 30, [10, 0, 0, 2]);
        bytes[46] = 0x50;
        bytes[47] = FIN | ACK;
        bytes.extend_from_slice(payload);
        Frame { bytes, interface: 1, ip: 14, tcp: 34, payload: 54, seq: 1000, said: SAID, len: payload.len() }
    }

    fn is_valid(bytes: &[u8]) -> bool {
        let tcp_len = (bytes.len() - 34) as u32;
        let pseudo = add(6 + tcp_len, &bytes[26..34]);
        checksum(add(0, &bytes[14..34])) == [0; 2] && checksum(add(pseudo, &bytes[34..])) == [0; 2]
    }

    fn seq_of(bytes: &[u8]) -> u32 {
        u32::from_be_bytes(*bytes[38..].first_chunk().unwrap())
    }

    #[test]
    fn pieces_are_the_payload_in_order_and_the_last_one_tells_of_the_end() {
        let frame = frame(b"hello, world");
        let pieces = frame.pieces(2, usize::MAX, 4, Said { ack: 8, window: 100 });
        let all: Vec<u8> = pieces.iter().flat_map(|it| it[54..].to_vec()).collect();
        assert_eq!(all, b"llo, world");
        assert_eq!(pieces.iter().map(|it| seq_of(it)).collect::<Vec<_>>(), [1002, 1006, 1010]);
        assert_eq!(pieces.iter().map(|it| it[47] & FIN).collect::<Vec<_>>(), [0, 0, 1]);
        assert!(pieces.iter().all(|it| is_valid(it) && it[42..46] == [0, 0, 0, 8] && it[48..50] == [0, 100]));
    }

    #[test]
    fn a_part_does_not_tell_of_the_end() {
        let pieces = frame(b"hello").pieces(0, 3, 100, SAID);
        assert_eq!((pieces.len(), &pieces[0][54..], pieces[0][47]), (1, &b"hel"[..], ACK));
    }

    #[test]
    fn an_end_without_payload_goes_out() {
        assert_eq!(frame(b"").pieces(0, usize::MAX, 100, SAID).len(), 1);
        assert_eq!(frame(b"ab").pieces(2, usize::MAX, 100, SAID).len(), 1);
    }

    #[test]
    fn the_clients_end_is_valid() {
        let end = frame(b"hello").end(5, 6);
        assert!(is_valid(&end) && seq_of(&end) == 5 && end.len() == 54);
    }
}
