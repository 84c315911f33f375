//! The client: asks who serves, or sends messages to and fro.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{Request, header::CONTENT_TYPE};
use tokio::{net::TcpStream, runtime, task::JoinSet};

use super::{STREAM, WHO, message, server::take};

/// Bytes of a message, its prefix left out.
const SIZE: usize = 128;

/// Prints the name of whoever serves.
pub(super) fn ask(address: SocketAddr, key: Option<&str>) -> Result<()> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (mut send, _driver) = connect(address).await?;
        let (response, _) = send.send_request(request(address, WHO, key)?, true)?;
        let mut body = response.await?.into_body();
        let mut said = Vec::new();
        while let Some(data) = body.data().await {
            said.extend_from_slice(&take(&mut body, data?)?);
        }
        ensure_well(&mut body).await?;
        println!("{}", String::from_utf8_lossy(said.get(5..).context("no message")?));
        Ok(())
    })
}

/// Has one message under way on each of `streams` of each of `connections`, and prints how many came back, in how
/// many seconds, and the median of their times in microseconds.
pub(super) fn load(address: SocketAddr, connections: usize, streams: usize, seconds: u64) -> Result<()> {
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let threads = connections.min(2);
    let threads: Vec<_> = (0..threads)
        .map(|n| {
            let share = connections / threads + usize::from(n < connections % threads);
            thread::spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(connections_of_a_thread(address, share, streams, until))
            })
        })
        .collect();
    let mut times = Vec::new();
    for thread in threads {
        times.extend(thread.join().ok().context("a thread has panicked")??);
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).context("no message came back")?;
    println!(r#"{{"messages":{},"seconds":{},"p50":{median}}}"#, times.len(), begun.elapsed().as_secs_f64());
    Ok(())
}

async fn connections_of_a_thread(
    address: SocketAddr,
    connections: usize,
    streams: usize,
    until: Instant,
) -> Result<Vec<u32>> {
    let mut all = JoinSet::new();
    let mut drivers = Vec::new();
    for _ in 0..connections {
        let (send, driver) = connect(address).await?;
        for _ in 0..streams {
            all.spawn(to_and_fro(address, send.clone(), until));
        }
        drivers.push(driver);
    }
    let mut times = Vec::new();
    while let Some(done) = all.join_next().await {
        times.extend(done??);
    }
    Ok(times)
}

/// The time of each message on one stream.
async fn to_and_fro(address: SocketAddr, send: SendRequest<Bytes>, until: Instant) -> Result<Vec<u32>> {
    let mut send = send.ready().await?;
    let (response, mut to) = send.send_request(request(address, STREAM, None)?, false)?;
    let mut body = response.await?.into_body();
    let message: Bytes = message(&[b'x'; SIZE]).into();
    let mut times = Vec::new();
    while Instant::now() < until {
        let sent = Instant::now();
        to.send_data(message.clone(), false)?;
        let mut missing = message.len();
        while missing > 0 {
            let data = body.data().await.context("the stream ended in a message")??;
            missing = missing.checked_sub(take(&mut body, data)?.len()).context("more came than was sent")?;
        }
        times.push(sent.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
    }
    to.send_data(Bytes::new(), true)?;
    while let Some(data) = body.data().await {
        ensure!(data?.is_empty(), "more came than was sent");
    }
    ensure_well(&mut body).await?;
    Ok(times)
}

async fn connect(address: SocketAddr) -> Result<(SendRequest<Bytes>, JoinSet<()>)> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (send, connection) = h2::client::handshake(socket).await?;
    let mut driver = JoinSet::new();
    // Streams see how it ends.
    driver.spawn(async { drop(connection.await) });
    Ok((send, driver))
}

fn request(address: SocketAddr, path: &str, key: Option<&str>) -> Result<Request<()>> {
    let mut request = Request::post(format!("http://{address}{path}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header("te", "trailers");
    if let Some(key) = key {
        request = request.header("x-byway-key", key);
    }
    Ok(request.body(())?)
}

async fn ensure_well(body: &mut RecvStream) -> Result<()> {
    let trailers = body.trailers().await?.context("no trailers")?;
    ensure!(trailers.get("grpc-status").is_some_and(|status| status == "0"), "not well: {trailers:?}");
    Ok(())
}
