//! Admission: Pod Security levels, and webhooks that change pods.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, RuleWithOperations};
use k8s_openapi::api::core::v1::{Container, Namespace, PodSpec, SecurityContext};
use kube::ResourceExt as _;

use crate::doctor::facts::{Facts, TargetFacts, selects};
use crate::doctor::finding::Findings;
use crate::words::few;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

pub(super) fn of_agents(facts: &Facts, findings: &mut Findings) {
    let Some(home) = findings.see(&facts.home) else { return };
    let Some(home) = home else {
        findings.problem("Byway's namespace was not found");
        return;
    };
    match level(home) {
        Some("baseline" | "restricted") => findings.problem(format!(
            "{} enforces {}, and agents need privileged",
            home.name_any(),
            level(home).unwrap_or_default()
        )),
        Some(other) => findings.ok(format!("{} enforces {other}, which lets agents in", home.name_any())),
        None => findings.ok(format!(
            "{} names no level, so that the API server's default counts, which mostly lets agents in",
            home.name_any()
        )),
    }
}

fn level(space: &Namespace) -> Option<&str> {
    space.metadata.labels.as_ref()?.get(ENFORCE).map(String::as_str)
}

pub(super) fn of_clone(facts: &Facts, findings: &mut Findings) {
    let Some(space) = findings.see(&facts.space) else { return };
    let Some(Ok(children)) = facts.target.as_ref().and_then(TargetFacts::clone_of) else { return };
    let Some(pods) = children.deployment.spec.and_then(|spec| spec.template.spec) else { return };
    let level = space.as_ref().and_then(level).unwrap_or("privileged");
    let mut wrong = Vec::new();
    if matches!(level, "baseline" | "restricted") {
        wrong.extend(against_baseline(&pods));
    }
    if level == "restricted" {
        wrong.extend(against_restricted(&pods));
    }
    if wrong.is_empty() {
        findings.ok(format!(
            "the level of the namespace is {level}, which lets a clone in, as far as was looked"
        ));
    } else {
        findings.problem(format!(
            "the level of the namespace is {level}, which keeps a clone out: {}",
            few(&wrong)
        ));
    }
}

/// The controls of the Pod Security Standards that templates most often fail; the API server knows them all.
fn against_baseline(pods: &PodSpec) -> Vec<String> {
    let mut wrong = Vec::new();
    for (shared, what) in
        [(pods.host_network, "hostNetwork"), (pods.host_pid, "hostPID"), (pods.host_ipc, "hostIPC")]
    {
        wrong.extend((shared == Some(true)).then(|| what.to_owned()));
    }
    let paths = pods.volumes.iter().flatten().filter(|volume| volume.host_path.is_some());
    wrong.extend(paths.map(|volume| format!("the hostPath volume {}", volume.name)));
    for (container, context) in contexts(pods) {
        wrong.extend((context.privileged == Some(true)).then(|| format!("{container} is privileged")));
        let added = context.capabilities.iter().flat_map(|it| it.add.iter().flatten());
        let beyond = added.filter(|it| !BASELINE.contains(&it.as_str()));
        wrong.extend(beyond.map(|capability| format!("{container} adds {capability}")));
        let unconfined = context.seccomp_profile.as_ref().is_some_and(|it| it.type_ == "Unconfined");
        wrong.extend(unconfined.then(|| format!("{container} has no seccomp profile")));
    }
    wrong
}

/// Capabilities that baseline lets be added.
const BASELINE: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

fn against_restricted(pods: &PodSpec) -> Vec<String> {
    let mut wrong = Vec::new();
    let of_pod = pods.security_context.clone().unwrap_or_default();
    for (container, context) in contexts(pods) {
        let non_root = context.run_as_non_root.or(of_pod.run_as_non_root) == Some(true);
        wrong.extend((!non_root).then(|| format!("{container} lacks runAsNonRoot")));
        let escalates = context.allow_privilege_escalation != Some(false);
        wrong.extend(escalates.then(|| format!("{container} lacks allowPrivilegeEscalation: false")));
        let drops = context.capabilities.iter().flat_map(|it| it.drop.iter().flatten()).any(|it| it == "ALL");
        wrong.extend((!drops).then(|| format!("{container} does not drop all capabilities")));
        let profile = context.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref());
        let confined = profile.is_some_and(|it| it.type_ == "RuntimeDefault" || it.type_ == "Localhost");
        wrong.extend((!confined).then(|| format!("{container} lacks a seccompProfile")));
        wrong.extend((context.run_as_user == Some(0)).then(|| format!("{container} runs as root")));
    }
    wrong
}

fn contexts(pods: &PodSpec) -> Vec<(&str, SecurityContext)> {
    let all = pods.containers.iter().chain(pods.init_containers.iter().flatten());
    all.map(|container: &Container| {
        (container.name.as_str(), container.security_context.clone().unwrap_or_default())
    })
    .collect()
}

pub(super) fn webhooks(facts: &Facts, findings: &mut Findings) {
    let (Some(configurations), Some(space)) = (findings.see(&facts.webhooks), findings.see(&facts.space))
    else {
        return;
    };
    let Some(target) = &facts.target else { return };
    let (Some(Ok(source)), Some(Ok(children))) = (target.source(), target.clone_of()) else { return };
    let labels_of_space = space.as_ref().and_then(|space| space.metadata.labels.clone()).unwrap_or_default();
    let of_target = source.meta.labels.unwrap_or_default();
    let template = children.deployment.spec.and_then(|spec| spec.template.metadata);
    let of_clone = template.and_then(|meta| meta.labels).unwrap_or_default();
    let mut both = Vec::new();
    let all = configurations.iter().flat_map(|it| it.webhooks.iter().flatten());
    for webhook in all.filter(|webhook| is_of_pods(webhook) && takes_space(webhook, &labels_of_space)) {
        match (takes(webhook, &of_target), takes(webhook, &of_clone)) {
            (true, false) => findings.warning(format!(
                "{} changes the target's pods but not a preview's, whose labels differ where Services select by them",
                webhook.name
            )),
            (false, true) => {
                findings.warning(format!("{} changes a preview's pods but not the target's", webhook.name));
            }
            (true, true) => both.push(webhook.name.as_str()),
            (false, false) => {}
        }
    }
    if findings.all.is_empty() {
        findings.ok(match both.len() {
            0 => "no mutating webhook changes pods here".to_owned(),
            _ => format!("these change the target's pods and a preview's alike: {}", few(&both)),
        });
    }
}

fn is_of_pods(webhook: &MutatingWebhook) -> bool {
    let any = |list: &Option<Vec<String>>, wanted: &[&str]| {
        list.iter().flatten().any(|one| wanted.contains(&one.as_str()))
    };
    let covers = |rule: &RuleWithOperations| {
        any(&rule.operations, &["CREATE", "*"])
            && any(&rule.resources, &["pods", "*", "*/*", "pods/*"])
            && any(&rule.api_groups, &["", "*"])
    };
    webhook.rules.iter().flatten().any(covers)
}

fn takes_space(webhook: &MutatingWebhook, labels: &BTreeMap<String, String>) -> bool {
    webhook.namespace_selector.as_ref().is_none_or(|selector| selects(selector, labels))
}

fn takes(webhook: &MutatingWebhook, labels: &BTreeMap<String, String>) -> bool {
    webhook.object_selector.as_ref().is_none_or(|selector| selects(selector, labels))
}
