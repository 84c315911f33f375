//! Whether the app has answered all that it was asked, so that nobody notices when another one speaks.
//!
//! The program in the kernel has noted how the last answer begins and ends, and where. It is read here, and only here.

use byway_abi::direct::{Answer, Conn, Socket, flag};
use byway_http::{Body, HeadScan, RequestKind, parse_response};

/// What the app owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owes {
    Nothing,
    /// It is under way, or the client has not acknowledged all of it.
    Something,
    /// Where the answer ends cannot be told. Silence will have to do.
    Unknown,
    /// Which answer it was cannot be told, and silence says nothing.
    Untold,
}

/// `answer` is what was noted for the connection.
pub(super) fn owed(conn: &Conn, answer: Option<&Answer>) -> Owes {
    if conn.requests == 0 {
        // What it says ahead of a request is for the part of one that came, or for none.
        return if conn.app_end == conn.answer { Owes::Nothing } else { Owes::Untold };
    }
    if conn.flags & flag::PIPELINED != 0 {
        return Owes::Untold;
    }
    let Some(answer) = answer.filter(|it| it.seq == conn.answer && conn.app_end != conn.answer) else {
        return Owes::Something;
    };
    let kind = if conn.flags & flag::HEAD == 0 { RequestKind::Other } else { RequestKind::Head };
    let is_acked = conn.acked.wrapping_sub(conn.app_end).cast_signed() >= 0;
    match end(conn, answer, kind) {
        Owes::Nothing if is_acked => Owes::Nothing,
        Owes::Nothing => Owes::Something,
        owes => owes,
    }
}

fn end(conn: &Conn, answer: &Answer, kind: RequestKind) -> Owes {
    let bytes = answer.bytes.get(..answer.len as usize).unwrap_or(&answer.bytes);
    let is_all = answer.seq.wrapping_add(bytes.len() as u32) == conn.app_end;
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let len = match HeadScan::default().end(rest) {
            Ok(Some(len)) => len,
            Ok(None) if is_all => return Owes::Something,
            Ok(None) | Err(_) => return Owes::Unknown,
        };
        let Ok(head) = parse_response(&rest[..len], kind) else { return Owes::Unknown };
        at += len;
        if head.interim {
            continue; // the final one is to come
        }
        let head_end = answer.seq.wrapping_add(at as u32);
        let is_at = |end: u32| if conn.app_end == end { Owes::Nothing } else { Owes::Something };
        return match head.body {
            Body::Empty => is_at(head_end),
            Body::Length(length) => is_at(head_end.wrapping_add(length as u32)),
            Body::Chunked => {
                let is_empty = conn.app_end == head_end.wrapping_add(5) && conn.tail.ends_with(b"0\r\n\r\n");
                let is_last = conn.tail.ends_with(b"\r\n0\r\n\r\n");
                if is_empty || is_last {
                    Owes::Nothing
                } else if conn.tail.ends_with(b"\r\n\r\n") {
                    Owes::Unknown // trailers, or a chunk that ends so
                } else {
                    Owes::Something
                }
            }
            // The app will close.
            Body::UntilClose | Body::Tunnel => Owes::Something,
        };
    }
}

/// Whether the app's socket has nothing to read and nothing to send.
pub(super) fn is_quiet(socket: &Socket) -> bool {
    socket.snd_una == socket.write_seq
        && socket.snd_nxt == socket.write_seq
        && socket.copied_seq == socket.rcv_nxt
}

#[cfg(test)]
mod tests {
    use byway_abi::direct::MAX_ANSWER;

    use super::*;

    fn conn(answer: &str) -> (Conn, Answer) {
        let mut noted = Answer { seq: 100, len: answer.len().min(MAX_ANSWER) as u32, bytes: [0; MAX_ANSWER] };
        let len = noted.len as usize;
        noted.bytes[..len].copy_from_slice(&answer.as_bytes()[..len]);
        let end = 100 + answer.len() as u32;
        let mut tail = [0; 8];
        tail.copy_from_slice(&answer.as_bytes()[answer.len() - 8..]);
        let conn = Conn { requests: 1, answer: 100, app_end: end, acked: end, tail, ..Conn::default() };
        (conn, noted)
    }

    fn owes(answer: &str) -> Owes {
        let (conn, noted) = conn(answer);
        owed(&conn, Some(&noted))
    }

    #[test]
    fn an_answer_ends_where_its_framing_says() {
        assert_eq!(owes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), Owes::Nothing);
        assert_eq!(owes("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"), Owes::Something);
        assert_eq!(owes("HTTP/1.1 204 No Content\r\n\r\n"), Owes::Nothing);
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(owes(&format!("{chunked}2\r\nok\r\n0\r\n\r\n")), Owes::Nothing);
        assert_eq!(owes(&format!("{chunked}0\r\n\r\n")), Owes::Nothing);
        assert_eq!(owes(&format!("{chunked}2\r\nok\r\n")), Owes::Something);
        let trailers = format!("{chunked}2\r\nok\r\n0\r\na: b\r\n\r\n");
        assert_eq!(owes(&trailers), Owes::Unknown, "or the payload of a chunk that goes on");
        assert_eq!(owes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), Owes::Nothing);
        assert_eq!(owes("HTTP/1.1 100 Continue\r\n\r\n"), Owes::Something);
        assert_eq!(owes("HTTP/1.1 200 OK\r\n\r\nto the end"), Owes::Something);
        assert_eq!(owes("HTTP/1.1 200 OK\r\ncontent-"), Owes::Something);
    }

    #[test]
    fn a_head_that_was_not_kept_whole_tells_nothing() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(800));
        assert_eq!(owes(&long), Owes::Unknown);
    }

    #[test]
    fn the_client_must_have_all_of_it() {
        let (conn, noted) = conn("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(owed(&Conn { acked: conn.app_end - 1, ..conn }, Some(&noted)), Owes::Something);
        assert_eq!(owed(&Conn { answer: conn.app_end, ..conn }, Some(&noted)), Owes::Something, "none yet");
        assert_eq!(owed(&Conn { flags: flag::PIPELINED, ..conn }, Some(&noted)), Owes::Untold);
        assert_eq!(owed(&Conn { requests: 0, answer: conn.app_end, ..conn }, None), Owes::Nothing);
        assert_eq!(owed(&Conn { requests: 0, ..conn }, None), Owes::Untold, "it has spoken first");
    }
}
