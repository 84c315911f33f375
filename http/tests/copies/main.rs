//! The fuzz target of copies, for a fixed number of inputs, the same ones each time: packets of requests that are right, and
//! then bent.

#[path = "../../fuzz/copies.rs"]
mod copies;

const INPUTS: usize = 30_000;

struct Rng(u64);

impl Rng {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }
}

#[test]
fn thirty_thousand_inputs() {
    let mut rng = Rng(1);
    for _ in 0..INPUTS {
        let sent: Vec<u8> = (0..1 + rng.below(6)).flat_map(|_| request(&mut rng)).collect();
        let mut input = vec![rng.below(256) as u8];
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let (packet, behind) = rest.split_at((1 + rng.below(90)).min(rest.len()));
            rest = behind;
            let what = if rng.below(3) == 0 { rng.below(256) } else { 7 };
            input.extend([what as u8, 0, packet.len() as u8]);
            input.extend(packet);
        }
        for _ in 0..rng.below(3) {
            let at = rng.below(input.len());
            input[at] = rng.below(256) as u8;
        }
        if let Err(panic) = std::panic::catch_unwind(|| copies::check(&input)) {
            eprintln!("the input was b\"{}\"", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    }
}

/// What a client sends: of HTTP/1 most often.
fn request(rng: &mut Rng) -> Vec<u8> {
    let all: [&[u8]; 9] = [
        b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n",
        b"HEAD /a HTTP/1.0\r\n\r\n",
        b"POST /b HTTP/1.1\r\ncontent-length: 70\r\n\r\nGET /inside HTTP/1.1\r\n\r\nGET /inside HTTP/1.1\r\n\r\nGET /inside HTTP/1.1\r\n\r\n!",
        b"PUT /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n16\r\nGET / HTTP/1.1\r\nhost: a\r\n0\r\nx: y\r\n\r\n",
        b"GET /u HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x81\x02hi",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86",
        b"\0\0\x03\x01\x04\0\0\0\x03\x83\x84\x86\0\0\x05\0\x01\0\0\0\x03hello",
        b"\0\0\x01\x01\x05\0\0\0\x05\xbe",
    ];
    all[rng.below(all.len())].to_vec()
}
