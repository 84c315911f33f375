//! The programs in the kernel, in the order that a connection meets them:
//!
//! - [`listening`]: which ports have a listener (`tp_btf/inet_sock_set_state`, once per node);
//! - [`steer`]: hands a new connection to the agent, or passes it on to the app (`sk_lookup`, once per target);
//! - [`origin`]: tells the app who really called (`sock_ops` and `getpeername`, once per node).
//!
//! All of them share the maps of [`maps`]; their layouts are in `byway-abi`. The agent loads the object once, and
//! the `steer` program anew for each target with constants of its own in `.rodata`.
#![no_std]
#![no_main]
// core's atomics have no fetch_add on the BPF target: one line of assembly in `listening`.
#![feature(asm_experimental_arch)]

mod listening;
mod maps;
mod origin;
mod steer;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

// The helpers used here are GPL-only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
