use crate::clone::testing::{alone, plain, reasons, source};
use byway_api::TargetKind;

#[test]
fn what_is_unlike_the_target_is_said() {
    for (spec, expected) in [
        ("{}", None),
        ("{initContainers: [{name: migrate}]}", Some("InitContainers")),
        ("{initContainers: [{name: proxy, restartPolicy: Always}]}", None),
        ("{readinessGates: [{conditionType: target-health.elbv2.k8s.aws/x}]}", Some("GatesDropped")),
        ("{schedulingGates: [{name: example.com/quota}]}", Some("SchedulingGates")),
        ("{schedulingGates: []}", None),
        ("{hostPID: true}", Some("HostNamespaces")),
        ("{hostIPC: true}", Some("HostNamespaces")),
        ("{restartPolicy: OnFailure}", Some("RestartPolicy")),
        ("{restartPolicy: Always}", None),
    ] {
        let clone = alone("{}", &plain(spec)).unwrap();
        assert_eq!(reasons(&clone), expected.into_iter().collect::<Vec<_>>(), "{spec}");
    }
    let skipped = alone("{skipInitContainers: true}", &plain("{initContainers: [{name: migrate}]}")).unwrap();
    assert!(skipped.warnings.is_empty());
    let member =
        source(TargetKind::StatefulSet, "spec: {containers: [{name: db, ports: [{containerPort: 1}]}]}");
    assert_eq!(reasons(&alone("{}", &member).unwrap()), ["NoStableIdentity"]);
}

#[test]
fn messages_name_what_they_speak_of() {
    let target =
        plain("{initContainers: [{name: migrate}, {name: seed}], readinessGates: [{conditionType: x/y}]}");
    let clone = alone("{}", &target).unwrap();
    assert!(clone.warnings[0].message.starts_with("the init containers migrate, seed run again"));
    assert!(clone.warnings[1].message.starts_with("the readiness gates x/y are left out"));
}
