//! gRPC with as little around it as can be, for `cargo xtask bench`: a server that sends messages back, and a client
//! that counts how many of them come. What a real one spends on messages would only hide what stands between.

// The benchmark reads what it prints.
#![allow(clippy::print_stdout)]

mod client;
mod server;

use std::env::args;

use anyhow::{Result, bail};

const USAGE: &str =
    "usage: grpc serve NAME PORT... | grpc ask ADDRESS [KEY] | grpc load ADDRESS CONNECTIONS STREAMS SECONDS";

/// Says who serves.
const WHO: &str = "/bench.Echo/Who";
/// Sends one message back.
const UNARY: &str = "/bench.Echo/Unary";
/// Sends back what comes while it comes.
const STREAM: &str = "/bench.Echo/Stream";

fn main() -> Result<()> {
    let args: Vec<String> = args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", name, ref ports @ ..] if !ports.is_empty() => {
            server::serve(name, &ports.iter().map(|port| Ok(port.parse()?)).collect::<Result<Vec<_>>>()?)
        }
        ["ask", address] => client::ask(address.parse()?, None),
        ["ask", address, key] => client::ask(address.parse()?, Some(key)),
        ["load", address, connections, streams, seconds] => {
            client::load(address.parse()?, connections.parse()?, streams.parse()?, seconds.parse()?)
        }
        _ => bail!(USAGE),
    }
}

/// A message as it goes over the wire: not compressed, its length, itself.
fn message(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0][..], &length, text].concat()
}
