use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::mirror::testing::{PORT, preview};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A pod of a preview that answers its first requests so, and closes behind any answer that is not whole.
struct Pod {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Pod {
    fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
        let count = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, count) = (stream.unwrap(), count.clone());
                thread::spawn(move || {
                    let reader = BufReader::new(stream.try_clone().unwrap());
                    for _end in reader.lines().filter(|line| line.as_ref().unwrap().is_empty()) {
                        let answer = answers.get(count.fetch_add(1, Relaxed)).copied().unwrap_or(OK);
                        stream.write_all(answer.as_bytes()).unwrap();
                        if answer != OK {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn ask(pool: &Pool, preview: &Arc<Preview>, method: &str) -> io::Result<u16> {
    let request = format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n");
    pool.ask(preview, PORT, request.as_bytes(), request.len()).await
}

#[test]
fn only_what_changes_nothing_is_asked_twice_and_only_if_no_answer_has_begun() {
    for (method, answer, is_answered, asked) in [
        ("POST", "", false, 2),
        ("POST", "HTTP/1.1 2", false, 2),
        ("GET", "", true, 3),
        ("GET", "HTTP/1.1 2", false, 2),
        ("GET", "no answer", false, 2),
    ] {
        // The first answer has the connection be kept; the second one is not whole.
        let answers: &'static [&'static str] = vec![OK, answer].leak();
        let pod = Pod::start(answers);
        let (pool, preview) = (Pool::default(), preview("127.0.0.1", pod.port));
        let second = runtime().block_on(async {
            assert_eq!(ask(&pool, &preview, "GET").await.unwrap(), 200);
            ask(&pool, &preview, method).await
        });
        assert_eq!((second.is_ok(), pod.asked()), (is_answered, asked), "{method} {answer:?}: {second:?}");
    }
}

#[test]
fn one_that_was_never_kept_is_not_asked_twice() {
    let pod = Pod::start(&[""]);
    assert!(runtime().block_on(ask(&Pool::default(), &preview("127.0.0.1", pod.port), "GET")).is_err());
    assert_eq!(pod.asked(), 1);
}

#[test]
fn a_kept_connection_serves_only_where_it_would_go_now() {
    let [one, other] = [(); 2].map(|()| Pod::start(&[]));
    let pool = Pool::default();
    runtime().block_on(async {
        for _ in 0..2 {
            ask(&pool, &preview("127.0.0.1", one.port), "GET").await.unwrap();
        }
        // It listens elsewhere now; and then that pod is none of the preview's any more.
        ask(&pool, &preview("127.0.0.1", other.port), "GET").await.unwrap();
        assert!(ask(&pool, &preview("127.0.0.2", other.port), "GET").await.is_err());
    });
    assert_eq!([one.asked(), other.asked()], [2, 1]);
}

#[test]
fn methods_that_change_nothing_are_told_from_others() {
    for (line, safe) in
        [("GET / ", true), ("HEAD / ", true), ("POST / ", false), ("DELETE / ", false), ("GETS / ", false)]
    {
        assert_eq!(is_safe(line.as_bytes()), safe, "{line}");
    }
}
