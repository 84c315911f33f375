//! Whether packets that come into a namespace meet netfilter: rules of iptables or nftables, or the tracking of connections.
//!
//! There a packet may reach another socket than its ports say, and one for a clone's port is not what the rules let in.

use aya_ebpf::{
    Global,
    helpers::{bpf_get_current_task, bpf_probe_read_kernel},
};

#[unsafe(no_mangle)]
static OFF_TASK_NSPROXY: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_NSPROXY_NET: Global<u64> = Global::new(0);
/// 0: the kernel has no netfilter.
#[unsafe(no_mangle)]
static OFF_NET_HOOKS4: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static OFF_NET_HOOKS6: Global<u64> = Global::new(0);

/// `NF_INET_PRE_ROUTING` and `NF_INET_LOCAL_IN`. The others say less: SELinux has hooks there, in every namespace.
const COMING_IN: u64 = 2;

/// Of the calling thread's namespace.
#[inline(always)]
pub(super) unsafe fn is_met() -> bool {
    if OFF_NET_HOOKS4.load() == 0 {
        return false;
    }
    // SAFETY: the kernel checks what is read; where it cannot be, there may be rules.
    unsafe {
        let task = bpf_get_current_task();
        let Some(namespaces) = word(task + OFF_TASK_NSPROXY.load()) else { return true };
        let Some(net) = word(namespaces + OFF_NSPROXY_NET.load()) else { return true };
        let mut hook = 0;
        while hook < COMING_IN {
            let of_hook = |hooks: &Global<u64>| word(net + hooks.load() + hook * 8);
            if of_hook(&OFF_NET_HOOKS4) != Some(0) || of_hook(&OFF_NET_HOOKS6) != Some(0) {
                return true;
            }
            hook += 1;
        }
    }
    false
}

#[inline(always)]
unsafe fn word(at: u64) -> Option<u64> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(at as *const u64).ok() }
}
