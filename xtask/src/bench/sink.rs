//! Takes uploads as fast as they come: nginx reads a body that it throws away in pieces of 4 KiB.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use byway_tests::Pod;

/// Listens on both ports, for as long as this process lives.
pub(super) fn start(pod: &Pod, ports: [u16; 2]) -> Result<()> {
    for port in ports {
        let listener = pod.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                thread::spawn(move || serve(stream));
            }
        });
    }
    Ok(())
}

/// One upload per connection; an answer when it is complete.
fn serve(mut stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let (head, mut body) = read_head(&mut stream, &mut buffer)?;
    let length = header(&head, "content-length").ok_or(ErrorKind::InvalidData)?;
    while body < length {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => body += n as u64,
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
}

/// Reads up to the end of a head. Returns it, and how much of the body came with it.
pub(super) fn read_head(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(String, u64)> {
    let mut head = Vec::new();
    loop {
        let n = stream.read(buffer)?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&buffer[..n]);
        if let Some(at) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            let body = (head.len() - at - 4) as u64;
            head.truncate(at);
            return Ok((String::from_utf8_lossy(&head).into_owned(), body));
        }
    }
}

/// The number in a header.
pub(super) fn header(head: &str, name: &str) -> Option<u64> {
    head.lines().find_map(|line| {
        let (n, value) = line.split_once(':')?;
        if n.eq_ignore_ascii_case(name) { value.trim().parse().ok() } else { None }
    })
}
