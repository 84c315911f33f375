//! Changes a connection on the agent's behalf (`BPF_PROG_TYPE_SYSCALL`, kernel 5.14). Loaded once per node.
//!
//! It is declared as a classifier, since aya knows no section of its type; the agent loads it as what it is.

use core::ptr::read_volatile as read;

use aya_ebpf::bindings::BPF_NOEXIST;
use byway_abi::{
    DialKey,
    direct::{Conn, Order, flag, state},
};

use super::{netfilter, set, swap, unset};
use crate::maps::{ANSWERS, CONNS};

#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn byway_control(order: *mut Order) -> i32 {
    // SAFETY: the kernel hands a copy of the agent's order, which is of this size.
    unsafe {
        let done = carry_out(order);
        (*order).done = if done.is_some() { 0 } else { -1 };
    }
    0
}

/// `None`: the connection has gone, or is another one by now.
#[inline(always)]
unsafe fn carry_out(order: *mut Order) -> Option<()> {
    // SAFETY: the caller's; values of maps.
    unsafe {
        let what = read(&raw const (*order).what);
        if what == Order::IS_FILTERED {
            return netfilter::is_met().then_some(());
        }
        let key = key_of(order);
        if what == Order::COMMIT {
            return commit(order, key);
        }
        if what == Order::JOIN {
            return join(order, key);
        }
        let conn = CONNS.get_ptr_mut(key)?;
        if what == Order::FORGET {
            let clone = DialKey { local_port: read(&raw const (*conn).port), ..key };
            if read(&raw const (*conn).state) == state::TAKEN
                && read(&raw const (*conn).at) == read(&raw const (*order).at)
            {
                let _ = CONNS.remove(clone);
                let _ = CONNS.remove(key);
                let _ = ANSWERS.remove(key);
            }
            return Some(());
        }
        if what == Order::ADOPT {
            if matches!(read(&raw const (*conn).state), state::DIRECT | state::OPAQUE) {
                (*conn).slot = read(&raw const (*order).slot);
                (*conn).owner = read(&raw const (*order).owner);
            }
            return Some(());
        }
        if read(&raw const (*conn).at) != read(&raw const (*order).at) {
            return None;
        }
        match what {
            Order::TAKE => take(order, key, conn),
            Order::READY => {
                set(conn, flag::READY);
                Some(())
            }
            Order::END_FIRST if read(&raw const (*conn).state) == state::HELD => {
                set(conn, flag::ENDED);
                Some(())
            }
            Order::RELEASE if read(&raw const (*conn).state) == state::HELD => {
                let state = read(&raw const (*order).state);
                if state == state::OPAQUE {
                    set(conn, read(&raw const (*order).flags));
                } else {
                    (*conn).next = read(&raw const (*order).next);
                    (*conn).answer = read(&raw const (*order).answer);
                    (*conn).acked = read(&raw const (*order).answer);
                    (*conn).requests += read(&raw const (*order).requests);
                    unset(conn, flag::HEAD);
                    set(conn, read(&raw const (*order).flags));
                    (*conn).held = 0;
                }
                swap(conn, state::HELD, state).then_some(())
            }
            _ => None,
        }
    }
}

/// Word by word, from the order itself: a copy made by LLVM reads through a pointer that was moved before, which the
/// verifier refuses for a context.
#[inline(always)]
unsafe fn key_of(order: *mut Order) -> DialKey {
    // SAFETY: fields of the order.
    unsafe {
        let word = |n: usize| read((&raw const (*order).key).cast::<u32>().add(n));
        DialKey {
            ns: u64::from(word(0)) | u64::from(word(1)) << 32,
            remote: [word(2), word(3), word(4), word(5)],
            local: [word(6), word(7), word(8), word(9)],
            remote_port: word(10),
            local_port: word(11),
        }
    }
}

/// A client that asks ahead is left alone for good: what the app owes it cannot be told.
#[inline(always)]
unsafe fn join(order: *mut Order, key: DialKey) -> Option<()> {
    // SAFETY: as above.
    unsafe {
        if let Some(conn) = CONNS.get_ptr_mut(key) {
            let flags = read(&raw const (*conn).flags);
            let may_be_read = flags & flag::UNREAD != 0 && flags & flag::PIPELINED == 0;
            let is_old = read(&raw const (*conn).state) == state::OLD
                || may_be_read && swap(conn, state::OPAQUE, state::OLD);
            if !is_old {
                return None;
            }
            // A successor's, if it was another agent's.
            (*conn).slot = read(&raw const (*order).slot);
            (*conn).owner = read(&raw const (*order).owner);
            return Some(());
        }
        let conn = Conn {
            state: state::OLD,
            at: read(&raw const (*order).at),
            flags: flag::ALIVE,
            slot: read(&raw const (*order).slot),
            owner: read(&raw const (*order).owner),
            ..Conn::NOTHING
        };
        CONNS.insert(key, conn, BPF_NOEXIST.into()).ok()
    }
}

#[inline(always)]
unsafe fn take(order: *mut Order, key: DialKey, conn: *mut Conn) -> Option<()> {
    // SAFETY: as above.
    unsafe {
        if !is_as_known(order, conn) {
            return None;
        }
        let port = read(&raw const (*order).port);
        let clone = DialKey { local_port: port, ..key };
        let entry = Conn {
            state: state::CLONE,
            at: read(&raw const (*conn).at),
            flags: flag::ALIVE,
            slot: read(&raw const (*conn).slot),
            port: key.local_port,
            owner: read(&raw const (*conn).owner),
            ..Conn::NOTHING
        };
        // As long as one stands there it belongs to another connection, if only to one that has gone and is remembered.
        CONNS.insert(clone, entry, BPF_NOEXIST.into()).ok()?;
        (*conn).port = port;
        let taken = swap(conn, state::HELD, state::TAKING);
        if !taken {
            let _ = CONNS.remove(clone);
        }
        taken.then_some(())
    }
}

/// The app may have said something since the agent has looked, of which a clone would know nothing. A packet that was let
/// out just as the state was changed has been noted by the commit.
#[inline(always)]
unsafe fn is_as_known(order: *mut Order, conn: *mut Conn) -> bool {
    // SAFETY: as above.
    unsafe { read(&raw const (*conn).app_end) == read(&raw const (*order).answer) }
}

#[inline(always)]
unsafe fn commit(order: *mut Order, key: DialKey) -> Option<()> {
    // SAFETY: as above.
    unsafe {
        let (at, port) = (read(&raw const (*order).at), read(&raw const (*order).port));
        if let Some(conn) = CONNS.get_ptr_mut(key)
            && read(&raw const (*conn).at) == at
        {
            if is_as_known(order, conn) && swap(conn, state::TAKING, state::TAKEN) {
                return Some(());
            }
            if swap(conn, state::TAKING, state::OPAQUE) {
                set(conn, flag::UNREAD);
            }
        }
        let _ = CONNS.remove(DialKey { local_port: port, ..key });
    }
    None
}
