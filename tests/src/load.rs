//! Requests without a pause, and what became of each.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::{Http, Netns, Pod, Response};

/// Clients in a pod that ask until they are told to stop.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    outcome: Arc<Mutex<Outcome>>,
    clients: Vec<JoinHandle<()>>,
    started: Instant,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// By the first word of the answer: who gave it.
    pub answered: BTreeMap<String, u64>,
    /// Connections that were refused.
    pub refused: u64,
    /// Connections that were reset, or closed before an answer.
    pub reset: u64,
    /// Connections or answers that did not come in time.
    pub late: u64,
    /// Answers that are wrong, and everything else; the first few.
    pub wrong: Vec<String>,
    /// Connections made.
    pub connections: u64,
    /// The longest time from the start of a connect to its success.
    pub slowest_connect: Duration,
    /// The longest time from a request, or the connect before it, to the end of its answer or of its connection.
    pub slowest: Duration,
    /// How long it took.
    pub took: Duration,
}

/// What clients ask.
#[derive(Clone, Debug)]
pub struct Plan {
    to: Vec<SocketAddr>,
    clients: u32,
    pause: Duration,
    keys: Vec<Option<String>>,
    kept: bool,
    body: usize,
}

impl Plan {
    /// A connection for each request, by four clients, without a key.
    #[must_use]
    pub fn to(to: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            to: to.into_iter().collect(),
            clients: 4,
            pause: Duration::ZERO,
            keys: vec![None],
            kept: false,
            body: 0,
        }
    }

    /// Keeps connections.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// So many clients at once.
    #[must_use]
    pub fn clients(mut self, clients: u32) -> Self {
        self.clients = clients;
        self
    }

    /// Each client rests after each request.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Every other request carries this key.
    #[must_use]
    pub fn keyed(mut self, key: &str) -> Self {
        self.keys.push(Some(key.to_owned()));
        self
    }

    /// Requests carry bodies of this size, which must come back.
    #[must_use]
    pub fn body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// Starts the clients.
    ///
    /// # Panics
    ///
    /// Without root.
    #[must_use]
    pub fn start(&self, pod: &Pod) -> Load {
        self.start_in(pod.as_netns())
    }

    /// Starts the clients in another namespace.
    ///
    /// # Panics
    ///
    /// Without root.
    #[must_use]
    pub fn start_in(&self, netns: &Netns) -> Load {
        netns.spare_ports().expect("root, to set what a namespace's clients may draw");
        let (stop, outcome) = (Arc::new(AtomicBool::default()), Arc::new(Mutex::default()));
        let clients = (0..self.clients as usize)
            .map(|n| {
                let (plan, stop, outcome) = (self.clone(), stop.clone(), outcome.clone());
                netns.thread(move || plan.run(n, &stop, &outcome))
            })
            .collect();
        Load { stop, outcome, clients, started: Instant::now() }
    }

    fn run(&self, client: usize, stop: &AtomicBool, outcome: &Mutex<Outcome>) {
        let body: Vec<u8> = (0..self.body).map(|i| b'a' + ((i + client) % 26) as u8).collect();
        let mut open: Option<Http> = None;
        for n in client.. {
            if stop.load(Relaxed) {
                return;
            }
            let key = self.keys[n % self.keys.len()].as_deref();
            let to = self.to[n / self.keys.len() % self.to.len()];
            let begun = Instant::now();
            let asked = self.ask(&mut open, to, key, &body, outcome);
            let mut outcome = lock(outcome);
            outcome.slowest = outcome.slowest.max(begun.elapsed());
            match asked {
                Ok(response) if self.body > 0 && response.body == body => outcome.answer("echo"),
                Ok(response) if self.body > 0 => {
                    outcome.complain(&format!("a body came back changed: {} bytes", response.body.len()));
                }
                Ok(response) => outcome.answer(response.text().split(' ').next().unwrap_or_default()),
                Err(error) => {
                    open = None;
                    outcome.fail(&error);
                }
            }
            drop(outcome);
            sleep(self.pause);
        }
    }

    fn ask(
        &self,
        open: &mut Option<Http>,
        to: SocketAddr,
        key: Option<&str>,
        body: &[u8],
        outcome: &Mutex<Outcome>,
    ) -> anyhow::Result<Response> {
        let http = match open {
            Some(http) => http,
            None => {
                let begun = Instant::now();
                let stream = TcpStream::connect_timeout(&to, Duration::from_secs(10))?;
                let mut outcome = lock(outcome);
                outcome.connections += 1;
                outcome.slowest_connect = outcome.slowest_connect.max(begun.elapsed());
                open.insert(Http::new(stream))
            }
        };
        let keyed = key.map(|key| ("x-byway-key", key));
        let method = if body.is_empty() { "GET" } else { "POST" };
        let response = http.request(method, "/", keyed.as_slice(), body)?;
        let closes = response.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        if !self.kept || closes {
            *open = None;
        }
        Ok(response)
    }
}

impl Load {
    /// What became of the requests so far.
    pub fn outcome(&self) -> Outcome {
        Outcome { took: self.started.elapsed(), ..lock(&self.outcome).clone() }
    }

    /// Ends the clients after their request under way.
    #[must_use]
    pub fn stop(mut self) -> Outcome {
        self.stop.store(true, Relaxed);
        self.clients.drain(..).for_each(|client| client.join().expect("clients do not panic"));
        self.outcome()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

impl Outcome {
    /// Requests that were answered.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.answered.values().sum()
    }

    /// Answers of this server.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.answered.get(name).copied().unwrap_or(0)
    }

    /// Requests and connections that failed in any way.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.refused + self.reset + self.late + self.wrong.len() as u64
    }

    /// Connections each second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.connections as f64 / self.took.as_secs_f64()
    }

    fn answer(&mut self, name: &str) {
        match self.answered.get_mut(name) {
            Some(n) => *n += 1,
            None => drop(self.answered.insert(name.to_owned(), 1)),
        }
    }

    fn fail(&mut self, error: &anyhow::Error) {
        match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::ConnectionRefused) => self.refused += 1,
            Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof) => {
                self.reset += 1;
            }
            Some(ErrorKind::TimedOut | ErrorKind::WouldBlock) => self.late += 1,
            None if error.to_string().starts_with("the connection ended") => self.reset += 1,
            _ => self.complain(&format!("{error:#}")),
        }
    }

    fn complain(&mut self, what: &str) {
        if self.wrong.len() < 20 {
            self.wrong.push(what.to_owned());
        }
    }
}

fn lock(outcome: &Mutex<Outcome>) -> std::sync::MutexGuard<'_, Outcome> {
    outcome.lock().unwrap_or_else(PoisonError::into_inner)
}
