//! `h2` on every side: a client, its home and two lines, with bodies both ways, whoever gets them.

use std::{future::poll_fn, sync::Arc};

use bytes::Bytes;
use byway_http::{
    Switch,
    detect::PREFACE,
    http2::switch::{Input, Out, Scratch, Step},
};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::Semaphore,
};

/// Sides that answer: home, and two lines.
const SIDES: usize = 3;

#[derive(Clone, Debug)]
struct Shape {
    side: usize,
    up: usize,
    down: usize,
    gives_up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Windows {
    stream: u32,
    connection: u32,
}

#[derive(Clone, Debug)]
struct Plan {
    shapes: Vec<Shape>,
    client: Windows,
    servers: [Windows; SIDES],
    most_streams: [u32; SIDES],
    at_once: usize,
    read: usize,
    pipe: usize,
}

fn windows() -> impl Strategy<Value = Windows> + Clone {
    let stream = prop_oneof![2000..10_000_u32, Just(65_535), Just(1 << 20)];
    let connection = prop_oneof![Just(65_535_u32), 65_535..200_000_u32, Just(1 << 22)];
    (stream, connection).prop_map(|(stream, connection)| Windows { stream, connection })
}

fn plan() -> impl Strategy<Value = Plan> {
    let body = prop_oneof![4 => 0..500_usize, 2 => 0..100_000_usize, 1 => 0..400_000_usize];
    let shape = (0..SIDES, body.clone(), body, prop::bool::weighted(0.05))
        .prop_map(|(side, up, down, gives_up)| Shape { side, up, down, gives_up });
    let servers = [windows(), windows(), windows()];
    let most = prop_oneof![Just(1_u32), Just(3), Just(1000)];
    (
        prop::collection::vec(shape, 1..40),
        windows(),
        servers,
        [Just(1000_u32).boxed(), most.clone().boxed(), most.boxed()],
        1..40_usize,
        prop_oneof![Just(1_usize), 1..100_usize, Just(65_536)],
        prop_oneof![Just(64_usize), Just(4096), Just(1 << 20)],
    )
        .prop_map(|(shapes, client, servers, most_streams, at_once, read, pipe)| Plan {
            // Byte by byte is for little.
            shapes: shapes
                .into_iter()
                .map(|it| if read < 100 { Shape { up: it.up / 100, down: it.down / 100, ..it } } else { it })
                .collect(),
            client,
            servers,
            most_streams,
            at_once,
            read,
            pipe: if read < 100 { pipe } else { pipe.max(4096) },
        })
}

#[test]
fn every_body_arrives_where_it_belongs_and_no_window_is_overrun() {
    let config = Config { cases: 60, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let mut runner = TestRunner::new(config);
    runner
        .run(&plan(), |plan| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let wrong = runtime.block_on(async {
                let local = tokio::task::LocalSet::new();
                let all = local.run_until(run(plan));
                tokio::time::timeout(std::time::Duration::from_secs(40), all).await.map_err(|_| "it hangs")
            });

            prop_assert_eq!(wrong, Ok(Vec::<String>::new()));
            Ok(())
        })
        .unwrap();
}

async fn run(plan: Plan) -> Vec<String> {
    let (client_end, client) = duplex(plan.pipe);
    let mut ends = Vec::new();
    for side in 0..SIDES {
        let (end, server) = duplex(plan.pipe);
        ends.push(end);
        tokio::task::spawn_local(serve(server, side, plan.servers[side], plan.most_streams[side]));
    }
    tokio::task::spawn_local(switch(client_end, ends, plan.read));

    let mut how = h2::client::Builder::new();
    how.initial_window_size(plan.client.stream).initial_connection_window_size(plan.client.connection);
    let (send, connection) = how.handshake::<_, Bytes>(client).await.unwrap();
    let connection = tokio::task::spawn_local(connection);
    let turns = Arc::new(Semaphore::new(plan.at_once));
    let mut asked = Vec::new();
    for shape in plan.shapes {
        let turn = turns.clone().acquire_owned().await.unwrap();
        let send = send.clone();
        asked.push(tokio::task::spawn_local(async move {
            let wrong = ask(send, &shape).await.err().map(|error| format!("{shape:?}: {error}"));
            drop(turn);
            wrong
        }));
    }
    let mut wrong = Vec::new();
    for one in asked {
        wrong.extend(one.await.unwrap());
    }
    drop(send);
    wrong.extend(connection.await.unwrap().err().map(|error| format!("the connection: {error}")));
    wrong
}

async fn ask(send: h2::client::SendRequest<Bytes>, shape: &Shape) -> Result<(), String> {
    let request = Request::post("http://app/").header("x-side", shape.side).header("x-down", shape.down);
    let mut send = send.ready().await.map_err(said)?;
    let (response, mut to) = send.send_request(request.body(()).unwrap(), false).map_err(said)?;
    if shape.gives_up {
        to.send_reset(h2::Reason::CANCEL);
        return Ok(());
    }
    let up = body(shape.up);
    let sends = tokio::task::spawn_local(async move {
        send_all(&mut to, up).await?;
        to.send_trailers(HeaderMap::from_iter([("x-end".parse().unwrap(), "up".parse().unwrap())]))
    });
    let (head, mut answer) = response.await.map_err(said)?.into_parts();
    let got = read(&mut answer).await.map_err(said)?;
    let trailers = answer.trailers().await.map_err(said)?.unwrap_or_default();
    sends.await.unwrap().map_err(said)?;
    let told = (&head.headers["x-side"], &trailers["x-up"]);
    let right =
        told == (&shape.side.into(), &format!("{} up", shape.up).parse().unwrap()) && got == body(shape.down);
    if right { Ok(()) } else { Err(format!("{told:?}, {} bytes", got.len())) }
}

async fn serve(stream: DuplexStream, side: usize, windows: Windows, most: u32) {
    let mut how = h2::server::Builder::new();
    how.initial_window_size(windows.stream).initial_connection_window_size(windows.connection);
    how.max_concurrent_streams(most);
    // A line that is never asked ends with the test.
    let Ok(mut connection) = how.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::task::spawn_local(async move {
            let down: usize = request.headers()["x-down"].to_str().unwrap().parse().unwrap();
            let mut from = request.into_body();
            let head = Response::builder().header("x-side", side).body(()).unwrap();
            let mut to = respond.send_response(head, false)?;
            let reads = tokio::task::spawn_local(async move {
                let got = read(&mut from).await?;
                let end = from.trailers().await?.unwrap_or_default();
                assert_eq!(got, body(got.len()), "in order");
                Ok::<_, h2::Error>(format!("{} {}", got.len(), end["x-end"].to_str().unwrap()))
            });
            send_all(&mut to, body(down)).await?;
            let told = reads.await.unwrap()?;
            to.send_trailers(HeaderMap::from_iter([("x-up".parse().unwrap(), told.parse().unwrap())]))
        });
    }
}

/// The switch between its sockets.
async fn switch(client: DuplexStream, ends: Vec<DuplexStream>, read: usize) {
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut reads, mut writes): (Vec<_>, Vec<_>) = ends.into_iter().map(tokio::io::split).unzip();
    let mut switch = Switch::new(false);
    let mut scratch = Scratch::default();
    let mut preface = vec![0; PREFACE.len()];
    client_read.read_exact(&mut preface).await.unwrap();
    writes[0].write_all(PREFACE).await.unwrap();
    let mut has_line = [false; SIDES];
    let mut buffer = vec![0; read];
    loop {
        // All that waits goes out before more comes in, each as its side takes it.
        let mut moved = false;
        moved |= flush(switch.to_home(), &mut writes[0]).await;
        if switch.takes_client()
            && let Some(n) = now(&mut client_read, &mut buffer).await
        {
            if n == 0 {
                return;
            }
            let mut input = Input::new(&buffer[..n]);
            while switch.client(&mut input, &mut scratch) == Step::Asked {
                let side: usize =
                    std::str::from_utf8(scratch.fields().get(b"x-side").unwrap()).unwrap().parse().unwrap();
                if side == 0 {
                    switch.goes_home(None, &mut scratch);
                } else {
                    if !std::mem::replace(&mut has_line[side], true) {
                        switch.add_line(side as u32, format!("line {side}"));
                    }
                    switch.goes_away(side as u32, None, &mut scratch);
                }
            }
            send(switch.to_home(), input, &mut writes[0]).await;
            moved = true;
        }
        moved |= flush(switch.to_client(), &mut client_write).await;
        if switch.takes_home()
            && let Some(n) = now(&mut reads[0], &mut buffer).await
        {
            let mut input = Input::new(&buffer[..n]);
            switch.home(&mut input);
            send(switch.to_client(), input, &mut client_write).await;
            moved = true;
        }
        switch.settle();
        for side in 1..SIDES {
            let id = side as u32;
            if let Some(out) = switch.to_line(id) {
                moved |= flush(out, &mut writes[side]).await;
            }
            switch.line_took(id);
            if switch.takes_line(id)
                && let Some(n) = now(&mut reads[side], &mut buffer).await
            {
                switch.line(id, &mut &buffer[..n]).unwrap();
                moved = true;
            }
        }
        let held = switch.to_home().len() + switch.to_client().len();
        assert!(held < 512 * 1024, "{held} bytes wait for sockets");
        if moved {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(std::time::Duration::from_micros(50)).await;
        }
    }
}

/// What there is to read, if there is something.
async fn now(from: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Option<usize> {
    tokio::select! {
        biased;
        n = from.read(buffer) => n.ok(),
        () = std::future::ready(()) => None,
    }
}

/// What is not taken at once waits.
async fn send(out: &mut Out, input: Input<'_>, to: &mut (impl tokio::io::AsyncWrite + Unpin)) {
    let all = out.parts(&input).concat();
    let taken = tokio::select! {
        biased;
        n = to.write(&all), if !all.is_empty() => n.unwrap_or(all.len()),
        () = std::future::ready(()) => 0,
    };
    out.keep(input, taken);
}

async fn flush(out: &mut Out, to: &mut (impl tokio::io::AsyncWrite + Unpin)) -> bool {
    let mut moved = false;
    while !out.is_empty() {
        let n = tokio::select! {
            biased;
            n = to.write(out.bytes()) => n.unwrap_or_else(|_| out.len()),
            () = std::future::ready(()) => return moved,
        };
        out.advance(n);
        moved = true;
    }
    moved
}

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// By value, as `map_err` has it.
#[allow(clippy::needless_pass_by_value)]
fn said(error: h2::Error) -> String {
    error.to_string()
}

async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

async fn send_all(to: &mut SendStream<Bytes>, data: Vec<u8>) -> Result<(), h2::Error> {
    let mut data = Bytes::from(data);
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let room = to.capacity() > 0 || poll_fn(|cx| to.poll_capacity(cx)).await.transpose()?.is_some();
        if !room {
            return Err(poll_fn(|cx| to.poll_reset(cx)).await?.into());
        }
        let now = data.split_to(to.capacity().min(data.len()));
        to.send_data(now, false)?;
    }
    Ok(())
}
