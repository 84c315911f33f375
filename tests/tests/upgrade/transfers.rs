//! Transfers of HTTP/1.1 that take longer than one agent takes to follow another.

use std::thread::sleep;

use anyhow::{Result, ensure};

use crate::clients::{Clients, Kept, Told};
use crate::server::{PAUSE, PIECE, piece};
use crate::{PORT, Stage, keyed, wanted};

/// Of each transfer, one every tenth of a second.
const PIECES: usize = 30;

pub(crate) fn slow(stage: &Stage, told: &Told) -> Vec<Clients> {
    let to = stage.to(PORT);
    vec![
        told.clients("slow downloads", &stage.client, 4, move |kept: &mut Kept, turn| {
            let is_keyed = turn % 2 == 0;
            let response = kept.http(to)?.get(&format!("/slow/{PIECES}"), keyed(is_keyed))?;
            let name = wanted(is_keyed).as_bytes();
            let pieces = response.body.strip_prefix(name);
            let whole = pieces.is_some_and(|all| all.chunks(PIECE).enumerate().all(|(n, p)| p == piece(n)));
            ensure!(whole, "{} was to answer: {:.20}", wanted(is_keyed), response.text());
            ensure!(response.body.len() == name.len() + PIECES * PIECE, "{} bytes came", response.body.len());
            kept.after(&response);
            Ok(())
        }),
        told.clients("slow uploads", &stage.client, 4, move |kept: &mut Kept, turn| {
            upload(kept, to, turn % 2 == 0)
        }),
    ]
}

fn upload(kept: &mut Kept, to: std::net::SocketAddr, is_keyed: bool) -> Result<()> {
    let http = kept.http(to)?;
    let key = if is_keyed { format!("x-byway-key: {}\r\n", crate::KEY) } else { String::new() };
    let length = PIECES * PIECE;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{key}content-length: {length}\r\n\r\n");
    http.send(head.as_bytes())?;
    for n in 0..PIECES {
        sleep(PAUSE);
        http.send(&piece(n))?;
    }
    let response = http.response("POST")?;
    let right = format!("{} {length}", wanted(is_keyed));
    ensure!(response.text() == right, "{right} was to answer, and {} did", response.text());
    kept.after(&response);
    Ok(())
}
