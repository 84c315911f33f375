//! The end of a connection of HTTP/2, as a client sees it that has not received everything yet.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use byway_tests::{Agent, Running, eventually};
use h2::Ping;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::{GO, KEY, SOON, Stage, keyed};

/// More than the client's socket takes while nobody reads, and less than the agent's.
const SIZE: usize = 40_000;

/// With its last stream the connection ends. Until then the client goes on speaking, and a socket that is closed would
/// answer that with a reset and forget what it has not sent yet.
#[test]
fn the_last_answer_arrives_whole_however_slowly_it_is_read() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.servers();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for is_keyed in [false, true] {
        let mut agent = stage.agent(Duration::from_secs(60));
        let got = runtime.block_on(async {
            timeout(SOON * 2, download(&stage, is_keyed, || agent.sigterm().unwrap())).await.unwrap()
        });
        assert_eq!(got.unwrap(), SIZE, "keyed: {is_keyed}");
        let ended = eventually(SOON, || agent.ended().unwrap());
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    }
}

/// h2load does not connect anew. What it has not sent when it hears of the end it counts as failed; all that it has sent
/// is answered, though it asks as fast as it can.
#[test]
fn every_request_that_was_sent_is_answered() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.servers();
    let url = format!("http://{}", stage.to(GO));
    for is_keyed in [false, true, false, true] {
        let mut agent = stage.agent(Duration::from_secs(60));
        let header = if is_keyed { format!("x-byway-key: {KEY}") } else { "x: y".to_owned() };
        let mut command = stage.client.command("h2load");
        command.args(["-D", "4", "-c", "4", "-m", "20", "-H", &header, &url]);
        let mut h2load = Running::spawn("h2load", &mut command).unwrap();
        let requests = |agent: &Agent| agent.metric("byway_agent_requests_total", "");
        eventually(SOON, || (requests(&agent).unwrap() > 500.0).then_some(())).unwrap();
        agent.sigterm().unwrap();
        let mut asked = 0.0;
        let ended = eventually(SOON, || {
            asked = requests(&agent).unwrap_or(asked);
            agent.ended().unwrap()
        });
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
        assert!(eventually(SOON, || h2load.ended().unwrap()).is_some());
        let log = h2load.log();
        let count = |what: &str| {
            let line = log.lines().find(|line| line.starts_with("requests: ")).unwrap();
            let before = line.split(what).next().unwrap().trim_end();
            before.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        eprintln!("{asked} asked, {} answered, {} failed", count("succeeded"), count("failed"));
        assert_eq!(count("succeeded"), asked, "{log}");
    }
}

/// How much of an answer arrives that is given while the agent drains, and while the client does not read.
async fn download(stage: &Stage, is_keyed: bool, drain: impl FnOnce()) -> Result<usize, h2::Error> {
    let stream = stage.client.connect(stage.to(GO)).unwrap();
    socket2::SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
    stream.set_nonblocking(true).unwrap();
    let shut = Arc::new(AtomicBool::default());
    let socket = Gate { stream: TcpStream::from_std(stream).unwrap(), shut: shut.clone() };
    let (mut send, mut connection) = h2::client::handshake(socket).await?;
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);

    let mut request = http::Request::post("http://app/echo");
    for (name, value) in keyed(is_keyed) {
        request = request.header(*name, *value);
    }
    let (response, mut to) = send.send_request(request.body(()).unwrap(), false)?;
    let mut body = response.await?.into_body();
    drain();
    while send.clone().ready().await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(300)).await; // GOAWAY comes twice
    shut.store(true, Relaxed);
    to.reserve_capacity(SIZE);
    to.send_data(Bytes::from(vec![7; SIZE]), true)?;
    sleep(Duration::from_secs(1)).await;
    pings.send_ping(Ping::opaque())?;
    sleep(Duration::from_millis(300)).await;
    shut.store(false, Relaxed);
    let mut got = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        got += data.len();
        body.flow_control().release_capacity(data.len())?;
    }
    Ok(got)
}

/// A socket that is not read while it is shut.
struct Gate {
    stream: TcpStream,
    shut: Arc<AtomicBool>,
}

impl AsyncRead for Gate {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.shut.load(Relaxed) {
            let waker = cx.waker().clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(10)).await;
                waker.wake();
            });
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Gate {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
