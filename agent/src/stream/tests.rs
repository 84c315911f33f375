use std::os::fd::AsRawFd as _;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

async fn pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    reset_at_death(&listener).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Stream::accepted(listener.accept().await.unwrap().0), client)
}

async fn end(mut client: TcpStream) -> Result<Vec<u8>, io::ErrorKind> {
    let mut said = Vec::new();
    client.read_to_end(&mut said).await.map(|_| said).map_err(|error| error.kind())
}

#[tokio::test]
async fn what_the_agent_lets_go_of_ends_with_all_that_was_sent() {
    let (mut server, client) = pair().await;
    server.write_all(b"the answer").await.unwrap();
    drop(server);
    assert_eq!(end(client).await.unwrap(), b"the answer");
}

#[tokio::test]
async fn what_nobody_lets_go_of_is_reset() {
    let (server, client) = pair().await;
    assert_eq!(
        SockRef::from(&*server).linger().unwrap(),
        Some(Duration::ZERO),
        "accepted sockets inherit it"
    );
    // As the kernel closes the sockets of a dead process: nothing of ours runs.
    let server = std::mem::ManuallyDrop::new(server);
    nix::unistd::close(server.as_raw_fd()).unwrap();
    assert_eq!(end(client).await, Err(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_reset_is_one() {
    let (mut server, client) = pair().await;
    server.reset();
    drop(server);
    assert_eq!(end(client).await, Err(io::ErrorKind::ConnectionReset));
}
