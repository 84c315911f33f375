use byway_api::TargetKind;

use crate::clone::testing::{alone, said, source};

/// What is said of a StatefulSet whose container `db` is so, with this spec of the Preview.
fn of(container: &str, spec: &str) -> String {
    let member =
        format!("spec: {{containers: [{{name: db, ports: [{{containerPort: 5432}}], {container}}}]}}");
    let clone = alone(spec, &source(TargetKind::StatefulSet, &member)).unwrap();
    said(&clone, "NoStableIdentity").to_owned()
}

const INDEX: &str = "{name: POD_INDEX, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['apps.kubernetes.io/pod-index']\"}}}";
const NAME: &str = "{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}";

#[test]
fn variables_and_commands_that_take_the_ordinal_are_named() {
    let plain = of("image: db", "{}");
    assert_eq!(
        plain,
        "the preview's pods have no stable names or ordinals: an app that goes by its host name, or joins a cluster by it, needs that set in spec.env"
    );
    let index = of(&format!("env: [{INDEX}]"), "{}");
    assert_eq!(
        index,
        "the preview's pods have no stable names or ordinals: without an ordinal these variables are empty: POD_INDEX of container db. \
         Set such variables of container db in spec.env, to an ordinal or a name that no member has, and spec.command or spec.args where a host name is read"
    );
    let script = of("command: [sh, -c, 'export ID=${HOSTNAME##*-}; exec server --id $ID']", "{}");
    assert!(script.contains(": by command or arguments, container db reads HOSTNAME. Set"), "{script}");
    for command in ["'[[ $(hostname) =~ -([0-9]+)$ ]]'", "'ID=`hostname`'", "'cut -d- -f2 /etc/hostname'"] {
        let script = of(&format!("args: [{command}]"), "{}");
        assert!(script.contains("container db reads HOSTNAME"), "{command}: {script}");
    }
}

#[test]
fn what_is_made_of_the_pods_name_is_named_with_it() {
    let said = of(
        &format!(
            "env: [{NAME}, {{name: ADVERTISED, value: 'PLAINTEXT://$(POD_NAME).db:9092'}}, {{name: OTHER, value: $(POD_NAMES)}}], args: ['--id=${{POD_NAME##*-}}', '--of=$POD_NAMESPACE']"
        ),
        "{}",
    );
    let wanted = ": the name of the preview's pod, which ends in no ordinal, is in POD_NAME of container db, ADVERTISED of container db; \
                  by command or arguments, container db reads POD_NAME. Set";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn what_the_preview_sets_is_settled() {
    let index = of(
        &format!("env: [{INDEX}], command: [run, $(POD_INDEX)]"),
        "{env: [{name: POD_INDEX, value: '7'}]}",
    );
    assert!(index.contains("goes by its host name"), "{index}");
    let script = of("command: [sh, -c, 'run ${HOSTNAME##*-}']", "{command: [run, '7']}");
    assert!(script.contains("goes by its host name"), "{script}");
    let named = of("command: [sh, -c, 'run ${HOSTNAME##*-}']", "{env: [{name: HOSTNAME, value: db-7}]}");
    assert!(named.contains("goes by its host name"), "{named}");
}

#[test]
fn other_containers_are_looked_at_too_and_other_kinds_are_not() {
    let member = format!(
        "spec: {{initContainers: [{{name: init-db, env: [{INDEX}]}}], containers: [{{name: db, ports: [{{containerPort: 5432}}]}}]}}"
    );
    let clone =
        alone("{env: [{name: POD_INDEX, value: '7'}]}", &source(TargetKind::StatefulSet, &member)).unwrap();
    let message = said(&clone, "NoStableIdentity");
    assert!(message.contains("POD_INDEX of container init-db"), "{message}");
    let clone = alone("{skipInitContainers: true}", &source(TargetKind::StatefulSet, &member)).unwrap();
    assert!(said(&clone, "NoStableIdentity").contains("goes by its host name"));
    let clone = alone("{skipInitContainers: true}", &source(TargetKind::Deployment, &member)).unwrap();
    assert!(clone.warnings.is_empty(), "{:?}", clone.warnings);
}
