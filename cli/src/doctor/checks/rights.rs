//! What this user may do.

use crate::doctor::facts::Facts;
use crate::doctor::finding::Findings;
use crate::words::few;

pub(super) fn namespace(facts: &Facts, findings: &mut Findings) {
    match findings.see(&facts.space) {
        Some(Some(_)) => findings.ok(format!("there is a namespace {}", facts.namespace)),
        Some(None) => findings.problem(format!("there is no namespace {}", facts.namespace)),
        None => {}
    }
}

pub(super) fn rights(facts: &Facts, findings: &mut Findings) {
    let mut well = Vec::new();
    for right in &facts.rights {
        let Some(allowed) = findings.see(&right.allowed).copied() else { continue };
        let said = || {
            format!(
                "you may not {} in {}, as is needed for {}",
                right.what, facts.namespace, right.needed_for
            )
        };
        match (allowed, right.required) {
            (true, _) => well.push(right.what.as_str()),
            (false, true) => findings.problem(said()),
            (false, false) => findings.warning(said()),
        }
    }
    if !well.is_empty() {
        findings.ok(format!("you may {} in {}", few(&well), facts.namespace));
    }
}
