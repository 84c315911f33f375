//! Prints the CRDs for `cargo xtask generate`: JSON, a list of pairs of a file's name and what is in it.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

fn main() -> serde_json::Result<()> {
    println!("{}", serde_json::to_string(&byway_api::crds())?);
    Ok(())
}
