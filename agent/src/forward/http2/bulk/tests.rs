use std::future::poll_fn;

use proptest::prelude::*;
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::*;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0, other)
}

/// As the library does: each frame is written and flushed, then comes the next turn.
async fn say(mut socket: TcpStream, frames: &[(usize, bool)]) {
    let mut behind = Behind::default();
    for (n, (len, is_large)) in frames.iter().enumerate() {
        let bytes = vec![n as u8; *len];
        let (head, rest) = bytes.split_at(len / 2);
        let mut said = 0;
        while said < *len {
            let parts = [
                IoSlice::new(&head[said.min(head.len())..]),
                IoSlice::new(&rest[said.saturating_sub(head.len())..]),
            ];
            let parts = if *is_large && said < head.len() {
                &parts[..]
            } else {
                &parts[usize::from(said >= head.len())..][..1]
            };
            said += poll_fn(|cx| behind.poll_write(cx, Pin::new(&mut socket), parts)).await.unwrap();
        }
        poll_fn(|cx| behind.poll_flush(cx, Pin::new(&mut socket))).await.unwrap();
        if n % 3 == 0 {
            poll_fn(|cx| behind.poll_drain(cx, Pin::new(&mut socket))).await.unwrap();
        }
    }
    behind.last_words(&socket);
}

/// Reads to the end into buffers of changing size, as the library has them.
async fn hear(mut socket: TcpStream) -> Vec<u8> {
    let (mut ahead, mut heard) = (Ahead::default(), Vec::new());
    let mut room = vec![0; 8192];
    loop {
        let left = room.len() - heard.len() % 7000;
        let mut buffer = ReadBuf::new(&mut room[..left]);
        poll_fn(|cx| ahead.poll_read(cx, Pin::new(&mut socket), &mut buffer)).await.unwrap();
        match buffer.filled() {
            [] => return heard,
            bytes => heard.extend_from_slice(bytes),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// More than a socket holds may come of it, so both blocks fill, empty and change hands.
    #[test]
    fn nothing_is_lost_or_changes_its_order(
        frames in prop::collection::vec((1_usize..20_000, any::<bool>()), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let said: Vec<u8> =
            frames.iter().enumerate().flat_map(|(n, (len, _))| vec![n as u8; *len]).collect();
        let heard = runtime.block_on(async {
            let (a, b) = pair().await;
            tokio::join!(say(a, &frames), hear(b)).1
        });
        prop_assert!(heard == said, "{} bytes came of {}", heard.len(), said.len());
    }
}

#[tokio::test]
async fn large_frames_go_out_together_and_small_ones_at_once() {
    let (mut socket, mut other) = pair().await;
    let mut behind = Behind::default();
    let written = poll_fn(|cx| behind.poll_write(cx, Pin::new(&mut socket), &[IoSlice::new(b"small")])).await;
    assert_eq!(written.unwrap(), 5);
    assert!(behind.is_empty());
    for _ in 0..2 {
        let parts = [IoSlice::new(b"a large "), IoSlice::new(b"frame")];
        assert_eq!(poll_fn(|cx| behind.poll_write(cx, Pin::new(&mut socket), &parts)).await.unwrap(), 13);
        poll_fn(|cx| behind.poll_flush(cx, Pin::new(&mut socket))).await.unwrap();
    }
    let mut heard = vec![0; 64];
    assert_eq!(other.read(&mut heard).await.unwrap(), 5);
    assert!(!behind.is_empty());
    poll_fn(|cx| behind.poll_drain(cx, Pin::new(&mut socket))).await.unwrap();
    assert_eq!(other.read(&mut heard).await.unwrap(), 26);
}
