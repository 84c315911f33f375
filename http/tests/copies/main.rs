//! The fuzz target of copies, for a fixed number of inputs, the same ones each time: packets of requests that are right, and
//! then bent.

#[path = "../bent/mod.rs"]
mod bent;
#[path = "../../fuzz/copies.rs"]
mod copies;

use bent::Rng;

#[test]
fn thirty_thousand_inputs() {
    bent::inputs(3, packets, copies::check);
}

/// Requests in packets, and what becomes of each.
fn packets(rng: &mut Rng) -> Vec<u8> {
    let sent: Vec<u8> = (0..1 + rng.below(6)).flat_map(|_| request(rng)).collect();
    let mut input = vec![rng.below(256) as u8];
    let mut rest = &sent[..];
    while !rest.is_empty() {
        let (packet, behind) = rest.split_at((1 + rng.below(90)).min(rest.len()));
        rest = behind;
        let what = if rng.below(3) == 0 { rng.below(256) } else { 7 };
        input.extend([what as u8, 0, packet.len() as u8]);
        input.extend(packet);
    }
    input
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
