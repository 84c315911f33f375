//! The programs in the kernel, in the order that a connection meets them:
//!
//! - [`listening`]: which ports have a listener (`tp_btf/inet_sock_set_state`, once per node);
//! - [`steer`]: hands a new connection to the agent, or passes it on to the app (`sk_lookup`, once per target);
//! - [`origin`]: tells the app who really called (`sock_ops` and `getpeername`, once per node);
//! - [`direct`]: follows connections that go straight to the app, and holds what is keyed (`classifier`, at both ways of
//!   each interface);
//! - [`observe`]: copies what comes on connections that were open before (`classifier`, per interface, while there
//!   are such connections);
//! - [`mirror`]: copies what comes to ports whose requests a preview is shown (the same, while there is such a preview).
//!
//! They share the maps of [`maps`]; their layouts are in `byway-abi`. The agent loads the object once, and the
//! `steer`, `observe` and `mirror` programs anew for each target with constants of their own in `.rodata`.
#![no_std]
#![no_main]
// core's atomics have no fetch_add on the BPF target: one line of assembly in `add`.
#![feature(asm_experimental_arch)]

mod direct;
mod listening;
mod maps;
mod mirror;
mod observe;
mod origin;
mod segment;
mod steer;
mod target;

/// The next program, or the stack, decides: `TCX_NEXT`, and `TC_ACT_UNSPEC` of clsact. 0 would skip those that follow.
const NEXT: i32 = -1;

/// An atomic add to a value of a map.
#[inline(always)]
unsafe fn add(n: *mut i64, change: i64) {
    // SAFETY: the caller's.
    unsafe { core::arch::asm!("lock *(u64 *)({n} + 0) += {change}", n = in(reg) n, change = in(reg) change) };
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

// The helpers used here are GPL-only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
