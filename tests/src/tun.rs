//! A slow and lossy link: two TUN devices, and a thread between them that holds each packet back and drops some.
//! For kernels without netem.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, ppoll};

use crate::{Net, Netns, ip, spawn};

const SIDE: [&str; 2] = ["10.78.0.1", "10.78.0.2"];

/// A client behind a link of its own to the node. Its packets are delayed each way, and some are lost.
#[derive(Debug)]
pub struct FarClient {
    netns: Netns,
    stop: Arc<AtomicBool>,
    wire: Option<JoinHandle<()>>,
}

impl FarClient {
    /// Its address.
    pub const IPV4: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
    /// Its address.
    pub const IPV6: Ipv6Addr = Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 2);

    /// Makes one. `loss` packets of 1,000 are lost, the same ones each time.
    ///
    /// # Errors
    ///
    /// Without `/dev/net/tun`.
    pub fn new(net: &Net, delay: Duration, loss: u32) -> Result<Self> {
        let netns = Netns::new("far")?;
        let ends = [net.node().run(open)?, netns.run(open)?];
        for (namespace, n, forward) in [(net.node(), 0, true), (&netns, 1, false)] {
            let other = SIDE[1 - n];
            let routes = if forward {
                String::new()
            } else {
                format!("route add default via {other} dev far0\nroute add default via fd78::1 dev far0\n")
            };
            ip::batch(
                namespace,
                &format!(
                    "addr add {}/24 dev far0\naddr add fd78::{}/64 dev far0 nodad\nlink set far0 up\n{routes}",
                    SIDE[n],
                    n + 1
                ),
            )?;
            if forward {
                namespace.run(|| -> std::io::Result<()> {
                    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
                    std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
                })?;
            }
        }
        let stop = Arc::new(AtomicBool::default());
        let wire = std::thread::spawn({
            let stop = stop.clone();
            move || carry(ends, delay, loss, &stop)
        });
        Ok(Self { netns, stop, wire: Some(wire) })
    }

    /// Its namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its addresses.
    pub fn ips(&self) -> [IpAddr; 2] {
        [Self::IPV4.into(), Self::IPV6.into()]
    }
}

impl Drop for FarClient {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(wire) = self.wire.take() {
            let _ = wire.join();
        }
    }
}

fn open() -> std::io::Result<File> {
    let tun =
        OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open("/dev/net/tun")?;
    spawn::name_tun(&tun, "far0")?;
    Ok(tun)
}

fn carry(mut ends: [File; 2], delay: Duration, loss: u32, stop: &AtomicBool) {
    let mut waiting: [VecDeque<(Instant, Vec<u8>)>; 2] = Default::default();
    let mut random = 0x2545_f491_u32;
    let mut buffer = vec![0; 65_536];
    while !stop.load(Relaxed) {
        let due = waiting.iter().filter_map(|w| w.front()).map(|(at, _)| *at).min();
        let longest = Duration::from_millis(50);
        let pause = due.map_or(longest, |at| at.saturating_duration_since(Instant::now()).min(longest));
        let mut polled = [0, 1].map(|n: usize| PollFd::new(ends[n].as_fd(), PollFlags::POLLIN));
        let timeout = nix::sys::time::TimeSpec::from_duration(pause);
        let _ = ppoll(&mut polled, Some(timeout), None);
        for n in 0..2 {
            while let Ok(len) = ends[n].read(&mut buffer) {
                random ^= random << 13; // xorshift: the same packets are lost each time
                random ^= random >> 17;
                random ^= random << 5;
                if random % 1000 >= loss {
                    waiting[n].push_back((Instant::now() + delay, buffer[..len].to_vec()));
                }
            }
            while waiting[n].front().is_some_and(|(at, _)| *at <= Instant::now()) {
                if let Some((_, packet)) = waiting[n].pop_front() {
                    let _ = ends[1 - n].write(&packet); // a full queue drops it, as a wire would
                }
            }
        }
    }
}
