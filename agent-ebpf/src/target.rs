//! Which target a program is loaded for.

use aya_ebpf::Global;

/// The cookie of its network namespace. Like all constants of a target it lies in frozen .rodata, so the verifier knows it.
#[unsafe(no_mangle)]
pub(crate) static NS: Global<u64> = Global::new(0);
