//! The annotations of a clone's pods: the target's, but for those by which somebody would take it for the target.

use std::collections::BTreeMap;

use byway_api::{Preview, names};
use kube_core::ResourceExt;
use serde_json::Value;

use super::registries::{Fate, fate};
use super::{Warning, labels, mesh, warn};

#[cfg(test)]
mod tests;

/// Annotations by name.
pub(super) type Annotations = BTreeMap<String, String>;

/// Dapr makes a Service of an id, with this at the end of its name.
const DAPR_SERVICE: &str = "-dapr";
const DAPR_ENABLED: &str = "dapr.io/enabled";
const DAPR_ID: &str = "dapr.io/app-id";

/// What of an entry of Multus one pod can have.
const OF_ONE_POD: [&str; 4] = ["ips", "mac", "infiniband-guid", "ipam-claim-reference"];

/// Changes the target's annotations into those of a clone of this Preview; what is to be said of that.
pub(super) fn turn(
    annotations: &mut Annotations,
    preview: &Preview,
    ports: &[u16],
    consul: mesh::Consul,
) -> Vec<Warning> {
    let mut warnings = Vec::from_iter(mesh::consul(annotations, consul));
    let mut addresses = Vec::new();
    annotations.retain(|name, value| match fate(name) {
        _ if labels::is_own(name) => false,
        Fate::Dropped => false,
        Fate::Address => {
            addresses.push(name.clone());
            false
        }
        Fate::Addresses => {
            if let Some(without) = without_addresses(value) {
                addresses.push(name.clone());
                *value = without;
            }
            true
        }
        _ => true,
    });
    warnings.extend((!addresses.is_empty()).then(|| warn::addresses(&addresses)));
    warnings.extend(dapr(annotations, preview));
    mesh::exclude(annotations, ports);
    warnings
}

/// The value without what one pod can have, if there is such in it. Networks that are only named have none.
fn without_addresses(value: &str) -> Option<String> {
    let mut networks: Value = serde_json::from_str(value).ok()?;
    let mut found = false;
    let all = match &mut networks {
        Value::Array(all) => all.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for network in all.iter_mut().filter_map(Value::as_object_mut) {
        for field in OF_ONE_POD {
            found |= network.remove(field).is_some();
        }
    }
    found.then(|| networks.to_string())
}

/// Two workloads of one id would take the id's Service from each other.
fn dapr(annotations: &mut Annotations, preview: &Preview) -> Option<Warning> {
    let is_on = annotations.get(DAPR_ENABLED).is_some_and(|value| {
        // As Dapr reads it.
        matches!(value.trim().to_lowercase().as_str(), "y" | "yes" | "true" | "on" | "1")
    });
    let id = annotations.get_mut(DAPR_ID)?;
    let uid = preview.uid().unwrap_or_default();
    let own = names::own_name(&preview.name_any(), &uid, names::MAX_NAME - DAPR_SERVICE.len());
    let before = std::mem::replace(id, own);
    is_on.then(|| warn::dapr_id(&before, id))
}
