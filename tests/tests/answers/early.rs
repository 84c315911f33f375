//! A server that says no to `Expect: 100-continue`, and would go on with the connection.

use std::time::Duration;

use byway_tests::{End, Raw, Received, needs_root};

use crate::clients::Asked;
use crate::{KEY, NAME, Stage, servers};

const SOON: Duration = Duration::from_secs(20);

/// Asks, and waits for what follows the answer.
fn ask(it: Asked<'_>, patience: Duration) -> Received {
    let mut raw = Raw::new(it.from.connect(it.to).unwrap()).unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n";
    let key = if it.key.is_empty() { String::new() } else { format!("x-byway-key: {}\r\n", it.key) };
    raw.send(format!("{head}{key}\r\n")).unwrap();
    let mut answer = raw.receive_until(SOON, |bytes| bytes.ends_with(b"\r\n\r\nno"));
    answer.end = raw.receive(patience).end;
    answer
}

#[test]
fn a_preview_that_says_no_says_that_the_connection_ends() {
    if needs_root() {
        return;
    }
    let (stage, _running) = Stage::new(&servers::python);
    let [without, app, preview] = stage.ways();
    // Long enough to see that it stays open.
    let open = Duration::from_secs(1);
    let said = |received: &Received| String::from_utf8_lossy(&received.bytes).to_ascii_lowercase();
    let wanted = ask(without, open);
    assert_eq!(wanted.end, End::Timeout, "{}", said(&wanted));
    let through = ask(app, open);
    let dateless = |text: String| text.lines().filter(|it| !it.starts_with("date:")).collect::<String>();
    assert_eq!((dateless(said(&through)), through.end), (dateless(said(&wanted)), wanted.end));

    let keyed = ask(preview, SOON);
    assert_eq!(keyed.end, End::Fin);
    let text = said(&keyed);
    assert!(text.contains(&format!("x-byway-preview: {NAME}\r\n")), "{text}");
    assert!(text.contains("connection: close\r\n"), "{text}");

    // A client that takes the word for it asks again on another connection.
    let url = format!("http://{}/", preview.to);
    let key = format!("x-byway-key: {KEY}");
    let again = [
        "-sS",
        "-H",
        "expect: 100-continue",
        "-H",
        &key,
        "-d",
        "12345",
        "-w",
        " %{http_code} %{num_connects}\n",
        &url,
    ];
    let output =
        preview.from.command("curl").args([&again[..], &["--next"], &again].concat()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no 401 1\nno 401 1\n", "{output:?}");
}
