//! Prints the page of the plugin's help for `cargo xtask generate`.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

fn main() {
    print!("{}", byway_cli::help::page());
}
