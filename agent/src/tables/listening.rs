//! Who listens where in the targets' namespaces: begun from what `sock_diag` finds, and kept by a program.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use byway_abi::{Addr, ListenKey, Listeners};

use super::Tables;
use crate::{address::mapped, sock_diag::Listening};

impl Tables {
    /// Has the program record the listeners of a namespace from now on, starting from what `dump` finds.
    ///
    /// The program counts while the dump is read, so a dump that was overtaken is read again.
    pub(crate) fn seed_listening(
        &self,
        ns: u64,
        dump: impl Fn() -> io::Result<Vec<Listening>>,
    ) -> io::Result<()> {
        const TRIES: usize = 100;
        match self.namespaces.insert(&ns, &0) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {} // another target of the same pod detaches
        }
        for _ in 0..TRIES {
            let changes = self.namespaces.lookup(&ns)?;
            // The kernel calls the program before it shows the socket to a dump.
            std::thread::sleep(Duration::from_millis(1));
            let counts = count(ns, &dump()?);
            for (key, listeners) in &counts {
                self.listening.update(key, listeners)?;
            }
            for key in self.listening.keys()?.iter().filter(|k| k.ns == ns && !counts.contains_key(k)) {
                self.listening.delete(key)?;
            }
            if self.namespaces.lookup(&ns)? == changes {
                return Ok(());
            }
        }
        Err(io::Error::other("the listeners of the namespace change faster than they can be read"))
    }

    /// How many addresses and ports of a namespace have had a listener since it was seeded.
    pub(crate) fn listening_len(&self, ns: u64) -> io::Result<usize> {
        Ok(self.listening.keys()?.iter().filter(|key| key.ns == ns).count())
    }

    /// The user whose app listens at `local`.
    pub(crate) fn listening_uid(&self, ns: u64, local: SocketAddr) -> Option<u32> {
        let any: Addr = if local.is_ipv4() { mapped([0; 4].into()) } else { [0; 4] };
        [any, mapped(local.ip())].into_iter().find_map(|addr| {
            let key = ListenKey { ns, addr, port: local.port().into(), pad: 0 };
            self.listening.lookup(&key).ok().flatten().filter(|l| l.count > 0).map(|l| l.uid)
        })
    }

    /// Whether a connection to one of `ips`, or if there are none to any address, would find a listener.
    pub(crate) fn is_listening(&self, ns: u64, ips: &[IpAddr], port: u16) -> bool {
        if !ips.is_empty() {
            return ips.iter().any(|ip| self.listening_uid(ns, SocketAddr::new(*ip, port)).is_some());
        }
        let here = |key: &ListenKey| key.ns == ns && key.port == u32::from(port);
        let listens =
            |key: &ListenKey| self.listening.lookup(key).ok().flatten().is_some_and(|l| l.count > 0);
        self.listening.keys().is_ok_and(|keys| keys.iter().any(|key| here(key) && listens(key)))
    }
}

fn count(ns: u64, listening: &[Listening]) -> HashMap<ListenKey, Listeners> {
    let mut counts: HashMap<ListenKey, Listeners> = HashMap::new();
    for socket in listening {
        let mut bump = |addr: Addr| {
            let key = ListenKey { ns, addr, port: socket.port.into(), pad: 0 };
            let entry = counts.entry(key).or_insert(Listeners { count: 0, uid: socket.uid, pad: 0 });
            entry.count += 1;
        };
        bump(mapped(socket.address));
        if socket.address == IpAddr::from([0_u16; 8]) && !socket.v6only {
            bump(mapped([0; 4].into())); // [::] takes IPv4 as well
        }
    }
    counts
}
