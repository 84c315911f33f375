//! The checks, in the order in which a preview comes about. Each is a function of the facts.

use super::facts::Facts;
use super::finding::{Finding, Findings};

mod clone;
mod hop;
mod instrumented;
mod mesh;
mod nodes;
mod parts;
mod rights;
mod room;
mod security;
mod traffic;

/// One thing that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// A stable word.
    pub code: &'static str,
    /// What is asked.
    pub asks: &'static str,
    /// What to do when the answer is not well.
    pub fix: &'static str,
    /// Whether it is about a target, and skipped without one.
    pub of_target: bool,
    run: fn(&Facts, &mut Findings),
}

const fn check(
    code: &'static str,
    asks: &'static str,
    fix: &'static str,
    run: fn(&Facts, &mut Findings),
) -> Check {
    Check { code, asks, fix, of_target: false, run }
}

const fn of_target(
    code: &'static str,
    asks: &'static str,
    fix: &'static str,
    run: fn(&Facts, &mut Findings),
) -> Check {
    Check { code, asks, fix, of_target: true, run }
}

/// All of them, as `docs/doctor.md` lists them.
pub const CHECKS: &[Check] = &[
    check(
        "Kubernetes",
        "is the API server's version 1.30 or later?",
        "upgrade the cluster",
        parts::kubernetes,
    ),
    check(
        "Crds",
        "are the CRDs there, and of this version?",
        "install or upgrade the chart, and this command, to the same version",
        parts::crds,
    ),
    check(
        "Controller",
        "does a controller run, and are its pods ready?",
        "look at its pods and their log: kubectl get pods -A -l app.kubernetes.io/component=byway-controller",
        parts::controller,
    ),
    check(
        "Lease",
        "does one controller hold the lease, and renew it?",
        "read the controllers' log: none of them works",
        parts::lease,
    ),
    check(
        "Agents",
        "does a ready agent run on every node?",
        "look at the DaemonSet byway-agent: its pods must be admitted and tolerate every node that targets run on",
        parts::agents,
    ),
    check(
        "AgentsPodSecurity",
        "does the Pod Security level of Byway's namespace let agents in?",
        "label the namespace: pod-security.kubernetes.io/enforce=privileged",
        security::of_agents,
    ),
    check(
        "Kernel",
        "is each node Linux on x86-64 or, untested, arm64, with a kernel 5.15 or later?",
        "use nodes with such a kernel, or keep targets off the others",
        nodes::kernel,
    ),
    check(
        "KernelFeatures",
        "do the agents find what they need: BTF, cgroup v2, their permissions?",
        "docs/conditions.md says it for each reason, in its table of what agents say",
        nodes::features,
    ),
    check(
        "Namespace",
        "is the namespace there?",
        "name another one with -n, or create it",
        rights::namespace,
    ),
    check(
        "Rights",
        "what may this user do?",
        "ask for the role `edit` in the namespace; docs/security.md says who may do what",
        rights::rights,
    ),
    of_target(
        "Target",
        "is the target there, with ready pods?",
        "correct its name or the namespace, or scale it up",
        clone::target,
    ),
    of_target(
        "HostNetwork",
        "has the target a network of its own?",
        "set hostNetwork to false, or use a preview without a target",
        clone::host_network,
    ),
    of_target(
        "Sandbox",
        "do its pods run where they can be steered, and not in gVisor or Kata?",
        "run the target with another RuntimeClass: a sandbox has a network stack of its own, which the node's kernel does not see",
        nodes::sandbox,
    ),
    of_target(
        "Volumes",
        "can its volumes be shared with a clone?",
        "docs/conditions.md says it for each reason",
        clone::volumes,
    ),
    of_target(
        "Clone",
        "can it be cloned otherwise, and what is different?",
        "docs/conditions.md says it for each reason",
        clone::otherwise,
    ),
    of_target(
        "NetworkPolicies",
        "do agents get out to a preview's pods, and do policies for the target hold for them?",
        "add policies for pods with the label byway.dev/preview; docs/conditions.md says more",
        hop::policies,
    ),
    of_target(
        "IpFamilies",
        "have agents and the target's pods addresses of the same families?",
        "give the cluster's pods both families, or Services the one that pods have",
        hop::families,
    ),
    of_target(
        "Mesh",
        "does a service mesh stand before the target?",
        "docs/meshes.md says what a mesh changes",
        mesh::mesh,
    ),
    of_target(
        "Traffic",
        "can the key be read in what the target is sent?",
        "see docs/limits.md: end TLS before the target, or rely on the origin of calls within an environment",
        traffic::traffic,
    ),
    of_target(
        "PodSecurity",
        "does the namespace's Pod Security level let a clone in?",
        "change the target's securityContext, or the namespace's level",
        security::of_clone,
    ),
    of_target(
        "Webhooks",
        "do mutating webhooks treat a clone as they treat the target?",
        "let the webhook select by a label that no Service selects by, since a preview has other values of those",
        security::webhooks,
    ),
    of_target(
        "Quota",
        "is there room for a preview in the namespace's quotas?",
        "end another preview, ask for more, or lower what the target requests",
        room::quota,
    ),
    of_target(
        "Propagation",
        "does the target pass a key on to what it calls?",
        "docs/propagation.md says what to set for each tracer, and how to try it",
        instrumented::propagation,
    ),
];

/// Runs all that apply.
#[must_use]
pub fn run(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    for check in CHECKS.iter().filter(|check| !check.of_target || facts.target.is_some()) {
        let mut findings = Findings { code: check.code, fix: check.fix, all: Vec::new() };
        (check.run)(facts, &mut findings);
        all.append(&mut findings.all);
    }
    all
}
