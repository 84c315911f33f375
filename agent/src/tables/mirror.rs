//! Of which ports requests are copied, and what was not.

use std::io;

use byway_abi::{
    DialKey,
    mirror::{Mirrored, Uncopied},
};

use super::{Tables, port_key};

impl Tables {
    /// Has what comes to a port be copied.
    pub(crate) fn mirror(&self, ns: u64, port: u16, mirrored: &Mirrored) -> io::Result<()> {
        let key = port_key(ns, port);
        match self.uncopied.insert(&key, &Uncopied::default()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.mirrored.update(&key, mirrored)
    }

    /// Copies nothing of a port any more.
    pub(crate) fn end_mirroring(&self, ns: u64, port: u16) -> io::Result<()> {
        self.mirrored.delete(&port_key(ns, port))?;
        self.uncopied.delete(&port_key(ns, port))
    }

    /// Has nothing be copied of what a client sends up to a sequence number, or all again.
    pub(crate) fn pass_over(&self, key: &DialKey, until: Option<u32>) -> io::Result<()> {
        match until {
            Some(until) => self.unwanted.update(key, &until),
            None => self.unwanted.delete(key),
        }
    }

    /// What of a port was to be copied and was not, since it is.
    pub(crate) fn uncopied(&self, ns: u64, port: u16) -> io::Result<Option<Uncopied>> {
        self.uncopied.lookup(&port_key(ns, port))
    }
}
