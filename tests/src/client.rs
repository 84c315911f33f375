//! A client that says exactly these bytes and remembers how the connection ended.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// How a connection ended, as one side saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side closed, or half closed.
    Fin,
    /// The other side reset.
    Reset,
    /// It did not end in time.
    Timeout,
}

/// Everything that came, and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// All bytes up to the end.
    pub bytes: Vec<u8>,
    /// The end.
    pub end: End,
}

/// One end of a TCP connection, without any protocol. Serves as a client, and as a server after `accept`.
#[derive(Debug)]
pub struct Raw(TcpStream);

impl Raw {
    /// Takes a connected stream: see [`Pod::connect`](crate::Pod::connect).
    ///
    /// # Errors
    ///
    /// When the socket is already dead.
    pub fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends all of it.
    ///
    /// # Errors
    ///
    /// When the other side has reset.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.0.write_all(bytes.as_ref())
    }

    /// Sends each piece as a segment of its own, with `pause` after it.
    ///
    /// # Errors
    ///
    /// When the other side has reset.
    pub fn send_pieces<P: AsRef<[u8]>>(
        &mut self,
        pieces: impl IntoIterator<Item = P>,
        pause: Duration,
    ) -> Result<()> {
        for piece in pieces {
            self.send(piece)?;
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Half closes: says that nothing more will be sent.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn finish(&self) -> Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Ends the connection with a reset.
    ///
    /// # Errors
    ///
    /// When the socket is already dead.
    pub fn reset(self) -> Result<()> {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO))
    }

    /// Reads until the connection ends or `patience` is over.
    pub fn receive(&mut self, patience: Duration) -> Received {
        self.receive_until(patience, |_| false)
    }

    /// Reads exactly `n` bytes, or fewer if the connection ends or `patience` is over.
    pub fn receive_exact(&mut self, n: usize, patience: Duration) -> Received {
        self.receive_until(patience, |bytes| bytes.len() >= n)
    }

    /// Reads until `enough` says so of all that came, the connection ends or `patience` is over. An end that
    /// did not come counts as [`End::Timeout`].
    pub fn receive_until(&mut self, patience: Duration, enough: impl Fn(&[u8]) -> bool) -> Received {
        let until = Instant::now() + patience;
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let end = loop {
            let left = until.saturating_duration_since(Instant::now());
            if enough(&bytes) || left.is_zero() || self.0.set_read_timeout(Some(left)).is_err() {
                break End::Timeout;
            }
            match self.0.read(&mut buffer) {
                Ok(0) => break End::Fin,
                Ok(n) => bytes.extend_from_slice(&buffer[..n]),
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => break End::Timeout,
                    ErrorKind::Interrupted => {}
                    _ => break End::Reset,
                },
            }
        };
        Received { bytes, end }
    }

    /// The stream itself.
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }
}
