//! What to do about a reason: of a condition, as `docs/conditions.md` has it, or of a command that failed.

use byway_api::Preview;

use crate::words;

/// What to do about `reason`, if anything has to be done. `NAME` in it stands for a preview.
#[must_use]
pub fn fix(reason: &str) -> Option<&'static str> {
    TABLE.iter().find(|(reasons, _)| reasons.contains(&reason)).map(|(_, fix)| *fix)
}

/// The same for a Preview: commands can be copied as they are.
#[must_use]
pub fn fix_of(reason: &str, preview: &Preview) -> Option<String> {
    let targetless = WITHOUT_TARGET.iter().find(|(it, _)| *it == reason && preview.spec.target.is_none());
    let fix = targetless.map(|(_, fix)| *fix).or_else(|| fix(reason));
    fix.map(|fix| fix.replace("NAME", &words::place(preview)))
}

/// Where there is no target that could be corrected.
const WITHOUT_TARGET: &[(&str, &str)] = &[
    ("CloneRejected", "correct in the Preview what the API server names"),
    (
        "ImagePullFailed",
        "check the name of the image; for a private one, give the namespace's service account `default` the pull secret; for one that is only on the nodes, give --image-pull-policy IfNotPresent, or set spec.imagePullPolicy",
    ),
    ("Unschedulable", "make room on the nodes, or do what the message names"),
    (
        "LimitRange",
        "give the namespace's LimitRange defaults, or the preview a target, whose resources it then has",
    ),
    (
        "PodSecurity",
        "change the namespace's Pod Security level, or give the preview a target, whose securityContext it then has",
    ),
    (
        "AdmissionRefused",
        "set the labels that the policy demands in spec.labels.set, or with --label; or except pods with the label byway.dev/preview from it",
    ),
];

const TABLE: &[(&[&str], &str)] = &[
    // Ready
    (
        &["Expired"],
        "give it more time with `kubectl preview extend NAME`, or end it with `kubectl preview stop NAME`",
    ),
    (&["Conflict"], "change the older Preview that the message names, stop it, or use another key"),
    (&["Pending"], "wait; if it lasts, look whether Byway's controller runs: `kubectl get pods -n byway`"),
    // TargetResolved
    (
        &["TargetNotFound"],
        "create the target, or start a preview of another one; it is looked for again by itself",
    ),
    (&["NameTaken"], "rename the object that the message names, or start the preview under another name"),
    (&["CloneRejected"], "correct what the API server names, in the target or in the Preview"),
    (&["ApiError"], "wait, it is tried again; if it lasts, read the log of Byway's controller"),
    (&["BadMatch"], "correct incoming.match as the message says"),
    (&["FilesTooLarge"], "put the longest files into a ConfigMap or Secret, and refer to it in spec.files"),
    (&["FileBelowFile"], "leave out one of the two files that the message names in spec.files"),
    (&["BadEnvMapping"], "correct the regular expression in spec.envMapping"),
    (&["BadLabel"], "correct the label in spec.labels.set"),
    (&["Keyless"], "name {{ key }} in a header matcher on every way through incoming.match"),
    (&["TargetUnreadable"], "correct the target: a part of it is not what its kind promises"),
    (&["NoTemplate"], "name the workload that runs the pods as the target"),
    (&["OwnedReplicaSet"], "make the owner of the ReplicaSet the target"),
    (
        &["UnsupportedWorkloadRef"],
        "use another target: this Rollout takes its template from something unknown",
    ),
    (&["NoSelector"], "set spec.selector of the Rollout"),
    (&["TargetIsPreview"], "make the target of that preview the target"),
    (
        &["TargetUsesHostNetwork"],
        "set hostNetwork of the target to false, or start a preview without a target",
    ),
    (&["UnsupportedOS"], "use another target: only Linux pods can have previews"),
    (
        &["ClaimNotShareable", "DiskNotShareable"],
        "use a ReadWriteMany claim, or a target without that volume",
    ),
    (&["ClaimTemplates"], "set spec.claimTemplates to emptyDir, to start with empty volumes"),
    (&["BlockDevice"], "use another target: an empty volume cannot replace a block device"),
    (&["AmbiguousContainer"], "name the container behind the target: --target .../container/CONTAINER"),
    (&["NoSuchContainer"], "name one of the containers that the message lists"),
    (&["NoPorts"], "name the ports with --port, or set spec.incoming.mode to \"off\""),
    (&["TooManyPorts"], "name the ports that matter with --port"),
    // PodsReady
    (&["Updating"], "wait"),
    (
        &["ContainersNotReady"],
        "wait; if it lasts, read `kubectl preview logs NAME`, and look at the readiness probe",
    ),
    (&["ScaledToZero"], "set spec.replicas, or --replicas"),
    (
        &["ImagePullFailed"],
        "check the name of the image, and the pull secrets of the target; for one that is only on the nodes, give --image-pull-policy IfNotPresent, or set spec.imagePullPolicy",
    ),
    (&["CrashLoop"], "read why it ends: `kubectl preview logs NAME --previous`"),
    (&["ContainerConfig"], "create what the message names, e.g. a Secret or ConfigMap"),
    (&["Unschedulable"], "make room on the nodes, or lower the target's requests"),
    (
        &["NotScheduled"],
        "wait; if it lasts, create the ResourceClaim or template that the message names, or look whether the scheduler runs",
    ),
    (&["QuotaExceeded"], "stop another preview, or ask for more than the namespace's ResourceQuota"),
    (&["LimitRange"], "set resources on the target within the namespace's LimitRange"),
    (&["PodSecurity"], "change the target's securityContext, or the namespace's Pod Security level"),
    (
        &["AdmissionRefused"],
        "meet the policy that the message names, with spec.labels.set where it demands a label; where it demands a value that a Service selects by, except pods with the label byway.dev/preview from it",
    ),
    (&["PodCreateFailed"], "correct what the API server names"),
    // RoutesProgrammed
    (&["Programming"], "wait; if it lasts, `kubectl preview explain NAME` tells which node is late"),
    (&["Off"], "set spec.incoming.mode to steal for requests to reach it"),
    (&["NoTargetPods"], "scale the target up, or see why its pods are not ready"),
    (&["NoAgent"], "see whether Byway's DaemonSet covers the node: `kubectl get pods -n byway -o wide`"),
    (&["AgentNotReady"], "read the log of the agent on that node: `kubectl get pods -n byway -o wide`"),
    (&["NodeFull"], "stop previews, or spread their targets over more nodes"),
    // What agents say of a node
    (&["NoBtf"], "use a kernel 5.15 or later with CONFIG_DEBUG_INFO_BTF on that node"),
    (&["NoCgroup2"], "mount a cgroup v2 hierarchy on that node"),
    (&["NotPermitted"], "check the agent's capabilities, and lockdown, SELinux or AppArmor on that node"),
    (&["CannotStart"], "read the agent's log; it tries again"),
    (&["BadDocument"], "find out who else writes NodeRoutes; if nobody does, report it"),
    // Warnings
    (&["InitContainers"], "set spec.skipInitContainers to true to leave them out"),
    (&["LabelsTurned"], "give labels in spec.labels.set values that nobody selects by"),
    (&["MappingUnused"], "add the port to spec.incoming.ports, or take it out of spec.incoming.portMapping"),
    (&["EnvFrom"], "name each variable that envFrom brings in spec.unsetEnv, or set it in spec.env"),
    (&["SchedulingGates"], "lift the scheduling gates of the pods"),
    (
        &["OldConnections"],
        "restart the clients' pools, or set spec.incoming.existingConnections to drainIdle, which closes those of HTTP/1",
    ),
    (&["RestartPolicy"], "use a target that runs on"),
    (
        &["NoStableIdentity"],
        "set the variables that the message names in spec.env, or with --env, and spec.command or spec.args where a host name is read",
    ),
    (&["UnknownFields"], "upgrade Byway"),
    (&["ClaimShared"], "see docs/isolation.md: the preview writes to the target's volume"),
    (&["ClaimUnknown"], "create the claim"),
    (&["ResourceClaimShared"], "give the target's pods devices of their own, by resourceClaimTemplateName"),
    (&["DeviceShared"], "let the preview take less of the device, with --env or spec.args"),
    (&["AddressDropped"], "where an address is asked for to be let in, let the preview in otherwise"),
    (&["DaprAppId"], "see docs/isolation.md: what Dapr has by the target's id is not shared"),
    (
        &["OutsideMesh"],
        "make a Service that selects the preview's label byway.dev/preview, as docs/meshes.md has it",
    ),
    (
        &["StillSelected"],
        "add { key: byway.dev/preview, operator: DoesNotExist } to the matchExpressions of that selector",
    ),
    (&["NetworkPolicyLost"], "add a NetworkPolicy for pods with the label byway.dev/preview"),
    (&["AgentsLetIn"], "where agents run outside the pod network, let their nodes in to the preview's pods"),
    (
        &["TrafficNotMatched"],
        "end TLS before the target and speak HTTP/1.1 to it, or call it from a pod of the same key",
    ),
    (&["ConnectionsPassedOn"], "do what the message says: it stays as long as the agent runs"),
    (&["RequestsLost"], "see each of the reasons with `kubectl preview explain NAME`"),
    (&["NothingListens"], "name the ports that the app serves, with --port or spec.incoming.ports"),
    (&["Several"], "see each of them with `kubectl preview explain NAME`"),
    // What agents say of a preview or target
    (&["TooNew"], "upgrade the agents: the controller is newer"),
    (&["CopiesFailed"], "read the agent's log on that node; it tries again"),
    (&["AttachFailed"], "read the agent's log on that node; it tries again"),
    (&["Blocked"], "have the rules of iptables or nftables in the pod let in what comes from lo"),
];

/// Reasons for which there is a fix.
pub fn reasons() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|(reasons, _)| *reasons).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn page(name: &str) -> String {
        std::fs::read_to_string(format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// Reasons of the tables of a page, and whether something is to be done.
    fn documented(page: &str, name_of_table: &str) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        let mut is_table = false;
        for line in page.lines() {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            match cells[..] {
                [first, ..] if first == name_of_table => is_table = true,
                [reasons, _, what] if is_table && reasons.contains('`') => {
                    let words = reasons.split('`').skip(1).step_by(2);
                    let is_to_do = !what.is_empty() && what != "none: only Linux pods can have previews";
                    found.extend(words.map(|word| (word.to_owned(), is_to_do)));
                }
                [""] | [] => is_table = false,
                _ => {}
            }
        }
        found
    }

    #[test]
    fn every_documented_reason_that_asks_for_something_has_a_fix() {
        let reasons = documented(&page("conditions.md"), "reason");
        assert!(reasons.len() > 60, "the page has another form now: {reasons:?}");
        let lacking: BTreeSet<_> =
            reasons.iter().filter(|(reason, is_to_do)| *is_to_do && fix(reason).is_none()).collect();
        assert!(lacking.is_empty(), "no fix for {lacking:?}");
    }

    #[test]
    fn commands_name_the_preview_and_its_namespace() {
        let preview: Preview = serde_json::from_value(serde_json::json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": "a", "namespace": "demo" },
            "spec": { "image": "app:2" },
        }))
        .unwrap();
        for reason in reasons() {
            let fix = fix_of(reason, &preview).unwrap();
            let commands = fix.split('`').skip(1).step_by(2).filter(|it| it.starts_with("kubectl preview "));
            for command in commands {
                assert!(command.contains(" a -n demo"), "{reason}: {command}");
            }
            assert!(!fix.contains("NAME"), "{reason}: {fix}");
        }
        let logs = "read why it ends: `kubectl preview logs a -n demo --previous`";
        assert_eq!(fix_of("CrashLoop", &preview).as_deref(), Some(logs));
    }

    #[test]
    fn without_a_target_none_is_to_be_corrected() {
        let preview: Preview = serde_json::from_value(serde_json::json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": "a", "namespace": "demo" },
            "spec": { "image": "app:2", "incoming": { "ports": [8080] } },
        }))
        .unwrap();
        for (reason, _) in WITHOUT_TARGET {
            let (plain, targetless) = (fix(reason).unwrap(), fix_of(reason, &preview).unwrap());
            assert!(plain.contains("target") || *reason == "AdmissionRefused", "{reason}: {plain}");
            assert!(!targetless.contains("the target"), "{reason}: {targetless}");
        }
        assert!(fix_of("AdmissionRefused", &preview).unwrap().contains("byway.dev/preview"));
        assert_eq!(fix_of("Updating", &preview).as_deref(), Some("wait"));
    }

    #[test]
    fn every_fix_is_of_a_documented_reason_and_there_is_one_of_each() {
        let pages = page("conditions.md") + &page("routes.md");
        let mut seen = BTreeSet::new();
        for reason in reasons() {
            assert!(pages.contains(&format!("`{reason}`")), "{reason} is nowhere documented");
            assert!(seen.insert(reason), "{reason} is there twice");
        }
    }
}
