//! Tunnels, as WebSockets are: some end before the drain does, some do not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::clients::{Clients, Told};
use crate::{KEY, PORT, Stage, wanted};

const PAUSE: Duration = Duration::from_millis(100);

/// A tunnel to the app or the preview.
pub(crate) struct Tunnel(TcpStream);

impl Tunnel {
    pub(crate) fn open(to: SocketAddr, is_keyed: bool) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(crate::SOON))?;
        stream.set_nodelay(true)?;
        let key = if is_keyed { format!("x-byway-key: {KEY}\r\n") } else { String::new() };
        let ask = "connection: upgrade\r\nupgrade: websocket\r\n";
        stream.write_all(format!("GET /tunnel HTTP/1.1\r\nhost: a\r\n{key}{ask}\r\n").as_bytes())?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).context("no answer to the upgrade")?;
            head.extend(byte);
        }
        let mut name = [0; 8];
        stream.read_exact(&mut name)?;
        let name = String::from_utf8_lossy(&name);
        ensure!(name.trim() == wanted(is_keyed), "{} was to answer, and {name} did", wanted(is_keyed));
        Ok(Self(stream))
    }

    /// Says something, and hears it.
    pub(crate) fn ping(&mut self, n: usize) -> Result<()> {
        let (said, mut heard) = (n.to_le_bytes(), [0; 8]);
        self.0.write_all(&said)?;
        self.0.read_exact(&mut heard).context("in a tunnel")?;
        ensure!(said == heard, "{said:?} came back as {heard:?}");
        Ok(())
    }

    /// When it is cut.
    fn cut(mut self) -> Instant {
        (0..).find(|n| {
            sleep(PAUSE / 10);
            self.ping(*n).is_err()
        });
        Instant::now()
    }
}

/// Tunnels of two seconds and more.
pub(crate) fn short(stage: &Stage, told: &Told) -> Clients {
    let to = stage.to(PORT);
    told.clients("tunnels", &stage.client, 4, move |_: &mut (), turn| {
        let mut tunnel = Tunnel::open(to, turn % 2 == 0)?;
        (0..20 + turn).try_for_each(|n| {
            sleep(PAUSE);
            tunnel.ping(n)
        })
    })
}

/// Tunnels that nobody ends: when they were cut.
pub(crate) fn long(stage: &Stage) -> Vec<JoinHandle<Instant>> {
    let to = stage.to(PORT);
    [true, false]
        .into_iter()
        .map(|is_keyed| {
            let tunnel = stage.client.run(move || Tunnel::open(to, is_keyed)).unwrap();
            stage.client.thread(move || tunnel.cut())
        })
        .collect()
}
