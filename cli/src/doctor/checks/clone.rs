//! What the controller would make of the target: asked of its own code.

use byway_plan::clone::{Refusal, Warning};

use crate::doctor::facts::{Facts, Look, TargetFacts, is_ready};
use crate::doctor::finding::{Findings, Level};
use crate::words::count;

/// Reasons of warnings about volumes.
const OF_VOLUMES: [&str; 4] = ["ClaimShared", "ClaimUnknown", "StartsEmpty", "HostPathWritable"];
/// Reasons of warnings that `hop` tells.
pub(super) const OF_POLICIES: [&str; 2] = ["NetworkPolicyLost", "AgentsLetIn"];

pub(super) fn target(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    let Some(object) = findings.see(&target.object) else { return };
    if object.is_none() {
        findings.problem(format!("there is no {} in {}", target.text(), facts.namespace));
        return;
    }
    if findings.see(&target.pods).is_none() {
        return;
    }
    let own = target.own_pods();
    match own.iter().filter(|pod| is_ready(pod)).count() {
        0 => findings.problem(format!("{} has no ready pod: there is nothing to steer", target.text())),
        ready => findings.ok(format!("{} has {}", target.text(), count(ready, "ready pod"))),
    }
}

pub(super) fn host_network(facts: &Facts, findings: &mut Findings) {
    let Some(Ok(source)) = facts.target.as_ref().and_then(TargetFacts::source) else { return };
    if source.spec.host_network == Some(true) {
        findings.problem("it uses the node's network, where its ports are taken and nothing can be steered");
    } else {
        findings.ok("its pods have a network of their own, not the node's");
    }
}

pub(super) fn volumes(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    match target.clone_of() {
        None => {}
        Some(Err(refusal)) if is_of_volumes(&refusal) => {
            findings.problem(format!("{}: {refusal}", refusal.code()));
        }
        // Then nobody got as far as the volumes.
        Some(Err(_)) => {}
        Some(Ok(children)) => {
            let hidden = matches!(target.claims, Look::Hidden(_));
            for warning in children.warnings.iter().filter(|it| OF_VOLUMES.contains(&it.reason)) {
                // Claims that could not be looked at are not unknown to the controller.
                if hidden && warning.reason == "ClaimUnknown" {
                    findings.see(&target.claims);
                } else {
                    tell(findings, warning);
                }
            }
            if findings.all.is_empty() {
                findings.ok("its volumes, if it has any, can be shared with a clone");
            }
        }
    }
}

/// The rest of what the controller says.
pub(super) fn otherwise(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    // A clone of what is not seen would keep labels that it will not have.
    let (services, selectors) = (findings.see(&target.services), findings.see(&target.selectors));
    let all_seen = services.is_some() && selectors.is_some();
    match target.clone_of() {
        None => {}
        Some(Err(refusal)) if is_of_volumes(&refusal) || is_host_network(&refusal) => {}
        Some(Err(refusal)) => findings.problem(format!("{}: {refusal}", refusal.code())),
        Some(Ok(children)) => {
            let mut count = 0;
            for warning in &children.warnings {
                if !OF_VOLUMES.contains(&warning.reason) && !OF_POLICIES.contains(&warning.reason) {
                    tell(findings, warning);
                    count += 1;
                }
            }
            if count == 0 && all_seen {
                let ports: Vec<String> = children.ports.iter().map(u16::to_string).collect();
                findings.ok(format!(
                    "it can be cloned as it is; these of its ports are steered: {}",
                    ports.join(", ")
                ));
            }
        }
    }
}

fn tell(findings: &mut Findings, warning: &Warning) {
    findings.said(Level::Warning, format!("{}: {}", warning.reason, warning.message));
}

const fn is_host_network(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::TargetUsesHostNetwork { .. })
}

const fn is_of_volumes(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::ClaimNotShareable { .. }
            | Refusal::DiskNotShareable { .. }
            | Refusal::ClaimTemplates { .. }
            | Refusal::BlockDevice { .. }
    )
}
