//! Clients that ask until they are told to stop, and remember what went wrong.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use byway_tests::{Http, Pod};

use crate::{Stage, keyed, wanted};

/// What all clients have seen.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    wrong: Mutex<Vec<String>>,
}

/// Clients of one kind.
pub(crate) struct Clients {
    what: &'static str,
    threads: Vec<JoinHandle<()>>,
    done: Arc<AtomicU64>,
    told: Told,
}

impl Told {
    pub(crate) fn stops(&self) -> bool {
        self.0.stop.load(Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.0.stop.store(true, Relaxed);
    }

    pub(crate) fn complain(&self, what: String) {
        eprintln!("! {what}");
        self.0.wrong.lock().unwrap().push(what);
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.0.wrong.lock().unwrap().clone()
    }

    /// Starts so many clients, each of which does `once` again and again with an object of its own.
    pub(crate) fn clients<T: Default>(
        &self,
        what: &'static str,
        pod: &Pod,
        many: usize,
        once: impl Fn(&mut T, usize) -> Result<()> + Clone + Send + 'static,
    ) -> Clients {
        let done = Arc::new(AtomicU64::default());
        let client = |number| {
            let (told, done, once) = (self.clone(), done.clone(), once.clone());
            pod.thread(move || {
                let mut own = T::default();
                for turn in number.. {
                    if told.stops() {
                        return;
                    }
                    let begun = Instant::now();
                    if let Err(error) = once(&mut own, turn) {
                        own = T::default();
                        told.complain(format!("{what} {number}, after {:?}: {error:#}", begun.elapsed()));
                    }
                    done.fetch_add(1, Relaxed);
                }
            })
        };
        let threads = (0..many).map(client).collect();
        Clients { what, threads, done, told: self.clone() }
    }
}

impl Clients {
    /// Waits for their last turns. They must have had `at_least` so many.
    pub(crate) fn join(self, at_least: u64) {
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let done = self.done.load(Relaxed);
        eprintln!("{}: {done}", self.what);
        if done < at_least {
            self.told.complain(format!("{}: only {done}", self.what));
        }
    }
}

/// A connection that is kept for as long as the other side keeps it.
#[derive(Default)]
pub(crate) struct Kept(Option<Http>);

impl Kept {
    pub(crate) fn http(&mut self, to: std::net::SocketAddr) -> Result<&mut Http> {
        let open = match self.0.take() {
            Some(open) => open,
            None => Http::new(std::net::TcpStream::connect_timeout(&to, Duration::from_secs(5))?),
        };
        Ok(self.0.insert(open))
    }

    /// Lets go of it if this was the last answer.
    pub(crate) fn after(&mut self, response: &byway_tests::Response) {
        if response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.0 = None;
        }
    }
}

/// One request and its whole answer, which begins with the name of whoever is to give it.
pub(crate) fn ask(kept: &mut Kept, to: std::net::SocketAddr, is_keyed: bool, body: &[u8]) -> Result<()> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let response = kept.http(to)?.request(method, "/", keyed(is_keyed), body)?;
    let text = response.text();
    let right = format!("{} {}", wanted(is_keyed), body.len());
    ensure!(text == right, "{right} was to answer, and {text} did");
    kept.after(&response);
    Ok(())
}

/// Clients of HTTP/1.1 whose requests are short. What is on the connection that they keep alternates between both
/// versions.
pub(crate) fn short(stage: &Stage, told: &Told) -> Vec<Clients> {
    let to = stage.to(crate::PORT);
    let pause = |ms| std::thread::sleep(Duration::from_millis(ms));
    vec![
        told.clients("a connection each", &stage.client, 3, move |_: &mut (), turn| {
            pause(3);
            ask(&mut Kept::default(), to, turn % 2 == 0, &[])
        }),
        told.clients("kept", &stage.client, 4, move |kept: &mut Kept, turn| {
            pause(3);
            ask(kept, to, turn % 2 == 0, &[])
        }),
        told.clients("kept, large", &stage.client, 2, move |kept: &mut Kept, turn| {
            pause(10);
            ask(kept, to, turn % 2 == 0, &[b'x'; 300_000])
        }),
        told.clients("kept, mostly idle", &stage.client, 4, move |kept: &mut Kept, turn| {
            pause(1500);
            ask(kept, to, turn % 2 == 0, &[])
        }),
    ]
}
