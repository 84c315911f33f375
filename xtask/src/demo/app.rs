//! The demo's own web server. Its answer says who it is and whom it sees: `STABLE client=10.77.0.2:40112
//! connection=1 request=3`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, SERVER};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What it calls itself
    #[arg(long)]
    name: HeaderValue,
    /// Where it listens; `[::]` takes IPv4 too
    #[arg(long)]
    listen: SocketAddr,
}

pub(crate) fn serve(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
        for connection in 1.. {
            // Out of descriptors, say: the next one may succeed.
            let Ok((stream, client)) = listener.accept().await else {
                continue;
            };
            tokio::spawn(converse(stream, client, connection, args.name.clone()));
        }
        Ok(())
    })
}

async fn converse(stream: TcpStream, client: SocketAddr, connection: u64, name: HeaderValue) {
    let requests = AtomicU64::new(0);
    let answer = async |request: Request<Incoming>| {
        // Read to its end, or the connection could not be kept.
        let _ = request.into_body().collect().await;
        let request = requests.fetch_add(1, Ordering::Relaxed) + 1;
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let who = name.to_str().unwrap_or_default();
        let body = format!("{who} client={client} connection={connection} request={request}\n");
        let mut response = Response::new(Full::new(Bytes::from(body)));
        response.headers_mut().insert(SERVER, name.clone());
        Ok::<_, Infallible>(response)
    };
    // A client that goes away is no news.
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}
