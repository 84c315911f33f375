//! How connections to a port reach the app, in words.

use std::collections::{BTreeMap, BTreeSet};

use crate::TargetTraffic;

/// The code of connections that go straight to the app until a request on them is keyed.
pub const DIRECT: &str = "Direct";

/// Why connections go through the agent from their first byte on, by the code of it.
#[must_use]
pub fn way(code: &str) -> Option<&'static str> {
    Some(match code {
        "Kernel" => "the node's kernel cannot have them go straight, see the log of its agent",
        "NoApp" => "the pod is its own preview",
        "Keyless" => "a preview is matched without a key, so every request has to be read",
        "Http2" => "HTTP/2 is spoken there",
        "Netfilter" => "the pod has rules of netfilter (iptables, nftables) of its own",
        _ => return None,
    })
}

/// How connections to these targets reach their apps, as sentences without an end; none where agents take all.
#[must_use]
pub fn ways<'a>(seen: impl Iterator<Item = &'a TargetTraffic>) -> Vec<String> {
    let mut by_code: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for (code, ports) in seen.flat_map(|it| &it.ways) {
        by_code.entry(code).or_default().extend(ports);
    }
    let said = by_code.into_iter().map(|(code, ports)| {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let to = format!("connections to port {}", ports.join(", "));
        if code == DIRECT {
            format!("{to} go straight to the app until a request is keyed")
        } else {
            format!("{to} go through the agent, since {}", way(code).unwrap_or(code))
        }
    });
    said.collect()
}
