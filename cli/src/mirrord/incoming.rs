//! `feature.network.incoming`: how requests come to the preview, at which ports, and which.

use std::collections::BTreeSet;

use byway_api::{Incoming, Mode, PortMapping};
use serde_json::Value;

use super::{Overrides, Reader, Section, filter};

/// As in the CRD.
const MOST_PORTS: usize = 32;

pub(super) fn read(
    reader: &mut Reader<'_>,
    file: &Section<'_>,
    overrides: &Overrides,
    targetless: bool,
) -> Incoming {
    let mut incoming = Incoming::default();
    let network = file.at(&["feature", "network"]);
    let section = network.as_ref().and_then(|network| network.get("incoming"));
    if network.as_ref().is_some_and(|network| *network.value == Value::Bool(false)) {
        incoming.mode = Mode::Off;
    } else if network
        .as_ref()
        .is_some_and(|network| !network.value.is_boolean() && !reader.is_object(network))
    {
        return incoming;
    } else if let Some(section) = &section {
        incoming.mode = match section.value {
            Value::Object(_) => {
                section.get("mode").and_then(|mode| self::mode(reader, &mode)).unwrap_or_default()
            }
            _ => mode(reader, section).unwrap_or_default(),
        };
        incoming.ports = ports(reader, section);
        let ignored: BTreeSet<u16> =
            section.get("ignore_ports").map(|it| list(reader, &it)).unwrap_or_default().into_iter().collect();
        bounded(reader, section, "ignore_ports", ignored.len());
        incoming.ignore_ports = ignored.into_iter().collect();
        incoming.port_mapping = port_mapping(reader, section);
        incoming.match_ = filter::read(reader, section, incoming.mode);
    }
    if targetless && incoming.ports.is_empty() && overrides.ports.is_empty() {
        reader.said.problem(
            "target",
            "is missing: name a workload, e.g. \"deployment/NAME\"; for a preview without a target, name the ports of its image in feature.network.incoming.ports",
        );
    }
    if incoming.match_.is_none() && incoming.mode == Mode::Steal {
        reader.said.warnings.push(
            "without an http_filter, requests need the key in the header x-byway-key, or as byway-key in baggage or a cookie; for mirrord's own baggage write \"header_filter\": \"^baggage: .*mirrord-session={{ key }}\""
                .to_owned(),
        );
    }
    incoming
}

fn mode(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Mode> {
    match section.value {
        Value::Bool(true) => return Some(Mode::Steal),
        Value::Bool(false) => return Some(Mode::Off),
        _ => {}
    }
    match reader.text(section)?.as_str() {
        "steal" => Some(Mode::Steal),
        "off" => Some(Mode::Off),
        "mirror" => Some(Mode::Mirror),
        other => {
            reader.said.problem(
                &section.path,
                format!("{other:?} is no mode: write \"steal\", \"mirror\" or \"off\""),
            );
            None
        }
    }
}

/// The filter's own ports, too: here it holds for all that are steered.
fn ports(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<u16> {
    let own = section.get("ports").map(|ports| list(reader, &ports)).unwrap_or_default();
    let filters = section.at(&["http_filter", "ports"]).map(|ports| list(reader, &ports)).unwrap_or_default();
    if !filters.is_empty() && own.iter().any(|port| !filters.contains(port)) {
        reader.said.warnings.push(format!(
            "{}.ports: the filter holds for these ports, too, and not only for those of http_filter.ports",
            section.path
        ));
    }
    let all: BTreeSet<u16> = own.into_iter().chain(filters).collect();
    bounded(reader, section, "ports", all.len());
    all.into_iter().collect()
}

/// Pairs of the port where the preview listens and the one that is steered.
fn port_mapping(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<PortMapping> {
    let Some(pairs) = section.get("port_mapping") else { return Vec::new() };
    if !pairs.value.is_array() {
        reader.said.problem(&pairs.path, format!("is {}: write a list of pairs", pairs.what()));
    }
    let mut all: Vec<PortMapping> = Vec::new();
    for pair in pairs.items() {
        let items: Vec<Section<'_>> = pair.items().collect();
        let [local, remote] = items.as_slice() else {
            let message = "is no pair: write [port of the preview, port of the target], e.g. [9090, 8080]";
            reader.said.problem(&pair.path, message);
            continue;
        };
        let (Some(preview_port), Some(port)) = (port(reader, local), port(reader, remote)) else { continue };
        if all.iter().any(|it| it.port == port) {
            reader
                .said
                .problem(&pair.path, format!("port {port} of the target is there twice: leave one out"));
            continue;
        }
        all.push(PortMapping { port, preview_port });
    }
    bounded(reader, section, "port_mapping", all.len());
    all
}

fn bounded(reader: &mut Reader<'_>, section: &Section<'_>, name: &str, count: usize) {
    if count > MOST_PORTS {
        let path = format!("{}.{name}", section.path);
        reader.said.problem(path, format!("there are {count} ports, at most {MOST_PORTS} can be named"));
    }
}

/// A list, or one alone.
fn list(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<u16> {
    let items: Vec<Section<'_>> = match section.value {
        Value::Array(_) => section.items().collect(),
        _ => vec![section.clone()],
    };
    items.iter().filter_map(|item| port(reader, item)).collect()
}

fn port(reader: &mut Reader<'_>, item: &Section<'_>) -> Option<u16> {
    let port = item.value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    if port.is_none() {
        reader.said.problem(&item.path, "is no port: write a number from 1 to 65535");
    }
    port
}
