//! `sock_ops` and `cgroup/getpeername4` and `6` (kernel 5.8) at the root of cgroup v2: the app is told who really
//! called, although the agent dialled it.
//!
//! The client's address is copied into the accepted socket's own storage (kernel 5.10 for this hook), so the answer
//! stands when the dial's entry has gone. Go's listeners on 0.0.0.0 are AF_INET6, so both families are needed.

use core::ptr::read_volatile as read;

use aya_ebpf::{
    bindings::{BPF_SK_STORAGE_GET_F_CREATE, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB},
    helpers::{bpf_get_netns_cookie, bpf_sk_storage_get},
    macros::{cgroup_sock_addr, sock_ops},
    programs::{SockAddrContext, SockOpsContext},
};
use byway_abi::{Addr, DialKey, MAPPED, Origin};

use crate::maps::{DIALS, ORIGIN};

const AF_INET: u32 = 2;
const PROCEED: u32 = 1;

#[sock_ops]
fn established(ctx: SockOpsContext) -> u32 {
    // SAFETY: the kernel hands a valid context.
    unsafe {
        if read(&raw const (*ctx.ops).op) == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB {
            remember(&ctx);
        }
    }
    PROCEED
}

#[inline(always)]
unsafe fn remember(ctx: &SockOpsContext) -> Option<()> {
    let ops = ctx.ops;
    // SAFETY: fields of a valid context; read before the branch on the family, as in `steer::addresses`.
    unsafe {
        let (r4, l4) = (read(&raw const (*ops).remote_ip4), read(&raw const (*ops).local_ip4));
        let r = (&raw const (*ops).remote_ip6).cast::<u32>();
        let l = (&raw const (*ops).local_ip6).cast::<u32>();
        let r6 = [read(r), read(r.add(1)), read(r.add(2)), read(r.add(3))];
        let l6 = [read(l), read(l.add(1)), read(l.add(2)), read(l.add(3))];
        let (remote, local): (Addr, Addr) = if read(&raw const (*ops).family) == AF_INET {
            ([0, 0, MAPPED, r4], [0, 0, MAPPED, l4])
        } else {
            (r6, l6) // IPv4 on an AF_INET6 socket is ::ffff:a.b.c.d here already
        };
        let key = DialKey {
            ns: bpf_get_netns_cookie(ops.cast()),
            remote,
            local,
            // Here the port is four bytes in network order: the sixteen bits lie in the upper half.
            remote_port: u32::from_be(read(&raw const (*ops).remote_port)),
            local_port: read(&raw const (*ops).local_port),
        };
        let origin: *const Origin = DIALS.get(key)?;
        let sk = read(&raw const (*ops).__bindgen_anon_2.sk);
        if sk.is_null() {
            return None;
        }
        // aya's SkStorage takes a SockAddrContext only; the raw helper takes any socket.
        let stored = bpf_sk_storage_get(
            (&raw const ORIGIN).cast_mut().cast(),
            sk.cast(),
            origin.cast_mut().cast(),
            BPF_SK_STORAGE_GET_F_CREATE.into(),
        );
        if !stored.is_null() {
            *stored.cast::<Origin>() = *origin;
        }
    }
    Some(())
}

#[cgroup_sock_addr(getpeername4)]
fn getpeername4(ctx: SockAddrContext) -> i32 {
    // SAFETY: the storage, where there is one, is an Origin; the context is valid.
    unsafe {
        let origin = ORIGIN.get_ptr_mut(&ctx);
        if !origin.is_null() {
            (*ctx.sock_addr).user_ip4 = (*origin).addr[3];
            (*ctx.sock_addr).user_port = (*origin).port_be;
        }
    }
    PROCEED as i32
}

#[cgroup_sock_addr(getpeername6)]
fn getpeername6(ctx: SockAddrContext) -> i32 {
    // SAFETY: as above. Written word by word: the verifier refuses wider stores to the context.
    unsafe {
        let origin = ORIGIN.get_ptr_mut(&ctx);
        if !origin.is_null() {
            let to = (&raw mut (*ctx.sock_addr).user_ip6).cast::<u32>();
            let from = (&raw const (*origin).addr).cast::<u32>();
            to.write_volatile(read(from));
            to.add(1).write_volatile(read(from.add(1)));
            to.add(2).write_volatile(read(from.add(2)));
            to.add(3).write_volatile(read(from.add(3)));
            (*ctx.sock_addr).user_port = (*origin).port_be;
        }
    }
    PROCEED as i32
}
