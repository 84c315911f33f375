use std::collections::BTreeSet;

use super::{Fate, Row, TABLE, fate};

/// The rows of the page's table, as it has them.
fn documented() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/isolation.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| whose | label or annotation |")).skip(2);
    rows.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

#[test]
fn every_row_is_documented_and_no_other() {
    let of = |row: &Row| {
        format!("| {} | `{}` | {} | {} |", row.of, row.names.join("`, `"), row.fate.word(), row.why)
    };
    let rows: Vec<String> = TABLE.iter().map(of).collect();
    assert_eq!(documented(), rows, "docs/isolation.md should have:\n{}", rows.join("\n"));
}

#[test]
fn each_is_there_once_and_in_order() {
    let names: Vec<&str> = TABLE.iter().flat_map(|row| row.names).copied().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let of: Vec<String> = TABLE.iter().map(|row| row.of.to_lowercase()).collect();
    assert!(of.is_sorted(), "{of:?}");
    for row in TABLE {
        assert!(row.names.iter().all(|name| fate(name) == row.fate), "{row:?}");
    }
}

#[test]
fn the_row_that_says_most_of_a_name_counts() {
    for (name, expected) in [
        ("dapr.io/app-id", Fate::DaprId),
        ("dapr.io/app-port", Fate::Kept),
        ("keel.sh/policy", Fate::Dropped),
        ("keel.sh/update-time", Fate::Kept),
        ("configmap.reloader.stakater.com/reload", Fate::Dropped),
        ("reloader.stakater.com/last-reloaded-from", Fate::Kept),
        ("ovn.kubernetes.io/ip_address", Fate::Address),
        ("net1.default.ovn.kubernetes.io/mac_address", Fate::Address),
        ("ovn.kubernetes.io/logical_switch", Fate::Kept),
        ("autoscaling.keda.sh/paused", Fate::Dropped),
        ("external-dns.alpha.kubernetes.io/internal-hostname", Fate::Dropped),
        ("serving.knative.dev/revision", Fate::Dropped),
        ("pre.hook.backup.velero.io/command", Fate::Dropped),
        ("cni.projectcalico.org/ipv4pools", Fate::Kept),
        ("prometheus.io/scrape", Fate::Kept),
        ("app.kubernetes.io/instance", Fate::Kept),
        ("argocd.argoproj.io", Fate::Kept),
    ] {
        assert_eq!(fate(name), expected, "{name}");
    }
}
