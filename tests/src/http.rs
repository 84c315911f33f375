//! Just enough HTTP/1.1 to ask a server something: a client for tests, not for the world.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A response, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A keep-alive connection.
#[derive(Debug)]
pub struct Http(BufReader<TcpStream>);

impl Http {
    /// Takes a connected stream: see [`Pod::connect`](crate::Pod::connect).
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        // An answer that takes longer is a hang; if setting this fails, so will the first read.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let _ = stream.set_nodelay(true);
        Self(BufReader::new(stream))
    }

    /// `GET path`.
    ///
    /// # Errors
    ///
    /// When the connection ends before the response is complete.
    pub fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
        self.request("GET", path, headers, b"")
    }

    /// Any request; a body gets a Content-Length.
    ///
    /// # Errors
    ///
    /// When the connection ends before the response is complete.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: byway.test\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send(&[head.as_bytes(), body].concat())?;
        self.response(method)
    }

    /// Sends bytes as they are, say several requests at once.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.get_mut().write_all(bytes)?)
    }

    /// Reads the response to a request with `method`; skips 1xx but 101.
    ///
    /// # Errors
    ///
    /// When the connection ends before the response is complete.
    pub fn response(&mut self, method: &str) -> Result<Response> {
        loop {
            let mut response = self.head()?;
            match response.status {
                100 | 102..=199 => continue,
                101 | 204 | 304 => {}
                _ if method == "HEAD" => {}
                _ => response.body = self.body(&response)?,
            }
            return Ok(response);
        }
    }

    /// The stream itself. What it has sent may be in a buffer here already.
    pub fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    fn head(&mut self) -> Result<Response> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("not a status line: {line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line:?}"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, head: &Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            loop {
                let line = self.line()?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size =
                    u64::from_str_radix(size, 16).with_context(|| format!("not a chunk size: {line:?}"))?;
                if size == 0 {
                    break;
                }
                self.exactly(size, &mut body)?;
                self.line()?;
            }
            while !self.line()?.is_empty() {}
        } else if let Some(length) = head.header("content-length") {
            self.exactly(length.parse()?, &mut body)?;
        } else {
            self.0.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    fn exactly(&mut self, n: u64, body: &mut Vec<u8>) -> Result<()> {
        let got = self.0.by_ref().take(n).read_to_end(body)?;
        if (got as u64) < n {
            bail!("the connection ended after {got} of {n} bytes of the body");
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            bail!("the connection ended before the response was complete");
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// `GET path` on a connection of its own, from the caller's namespace.
///
/// # Errors
///
/// When there is no complete response.
pub fn get(to: impl Into<SocketAddr>, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let stream = TcpStream::connect_timeout(&to.into(), Duration::from_secs(5))?;
    Http::new(stream).get(path, headers)
}
