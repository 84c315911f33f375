//! A stand-in for the APIs of GitHub and GitLab: the comments on one pull request, and who comments.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// What a job shows.
pub(crate) const TOKEN: &str = "a-secret";
/// How many comments a forge gives at a time.
const PAGE: usize = 100;

#[derive(Clone)]
pub(crate) struct Comment {
    pub(crate) id: usize,
    author: String,
    pub(crate) body: String,
}

/// It serves until the test's process ends.
pub(crate) struct Forge {
    pub(crate) address: SocketAddr,
    me: &'static str,
    comments: Arc<Mutex<Vec<Comment>>>,
}

struct Request {
    method: String,
    path: String,
    authorized: bool,
    body: Value,
}

impl Forge {
    /// With a page full of what others said, also in our words: none of that is ours.
    pub(crate) fn start(me: &'static str, mark: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let others = (1..=PAGE).map(|id| Comment { id, author: "mallory".into(), body: mark.into() });
        let comments = Arc::new(Mutex::new(others.collect()));
        let shared = Arc::clone(&comments);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(&stream, me, &mut shared.lock().unwrap());
            }
        });
        Self { address, me, comments }
    }

    /// What the jobs said: one comment, at most.
    pub(crate) fn comment(&self) -> Option<Comment> {
        let comments = self.comments.lock().unwrap();
        let mut ours = comments.iter().filter(|it| it.author == self.me);
        let first = ours.next().cloned();
        assert!(ours.next().is_none(), "there is one comment, which is edited");
        first
    }
}

fn answer(mut stream: &TcpStream, me: &str, comments: &mut Vec<Comment>) {
    let request = read(stream);
    let (status, body) = if request.authorized { act(&request, me, comments) } else { (401, json!({})) };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
}

fn act(request: &Request, me: &str, comments: &mut Vec<Comment>) -> (u16, Value) {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let text = request.body["body"].as_str().unwrap_or_default();
    match request.method.as_str() {
        // GitHub does not tell a job's own token whose it is.
        "GET" if path.ends_with("/user") && me.contains('[') => (403, json!({ "message": "not for you" })),
        "GET" if path.ends_with("/user") => (200, json!({ "username": me })),
        "GET" => {
            let page: usize = query.rsplit_once("page=").unwrap().1.parse().unwrap();
            (200, comments.iter().skip((page - 1) * PAGE).take(PAGE).map(shown).collect())
        }
        "POST" => {
            comments.push(Comment { id: comments.len() + 1, author: me.into(), body: text.into() });
            (201, json!({}))
        }
        "PATCH" | "PUT" => {
            let id: usize = path.rsplit_once('/').unwrap().1.parse().unwrap();
            text.clone_into(&mut comments[id - 1].body);
            (200, json!({}))
        }
        _ => (405, json!({})),
    }
}

/// Each forge has a field of its own for the author.
fn shown(it: &Comment) -> Value {
    json!({ "id": it.id, "body": it.body, "user": { "login": it.author }, "author": { "username": it.author } })
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let heads: Vec<String> = std::iter::from_fn(|| Some(line()).filter(|it| !it.is_empty())).collect();
    let length = heads.iter().find_map(|it| it.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body).unwrap();
    let mut words = first.split(' ').map(str::to_owned);
    Request {
        method: words.next().unwrap(),
        path: words.next().unwrap(),
        authorized: heads.iter().any(|it| it.ends_with(TOKEN)),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}
