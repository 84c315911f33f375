//! `steer NETNS PID LISTENS_ON PORT...`: see `byway_agent::foreign`. For `cargo xtask bench`.

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context("usage: steer NETNS PID LISTENS_ON PORT...");
    let (netns, pid, listens_on) = (next()?, next()?.parse()?, next()?.parse()?);
    let ports = args.map(|port| port.parse()).collect::<Result<Vec<u16>, _>>()?;
    byway_agent::foreign::steer(netns.as_ref(), pid, listens_on, &ports, || eprintln!("steering"))
}
