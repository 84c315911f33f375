//! Embeds the eBPF object that `cargo xtask ebpf` leaves in `target/ebpf/byway.o`.
use std::{env, fs, path::Path};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let object = Path::new(&root).join("../target/ebpf/byway.o");
    println!("cargo::rerun-if-changed={}", object.display());
    let embedded = Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("byway.o");
    if let Err(e) = fs::copy(&object, embedded) {
        println!("cargo::error=no eBPF object at {} ({e}): run `cargo xtask ebpf` first", object.display());
    }
}
