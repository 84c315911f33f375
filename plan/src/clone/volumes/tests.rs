use std::collections::BTreeMap;

use serde_json::json;

use crate::clone::testing::{key, plain, pods, preview, source, yaml};
use crate::clone::{Children, Refusal, Source, Surroundings, of_target};
use byway_api::TargetKind;

fn clone(target: &Source, spec: &str) -> Result<Children, Refusal> {
    let claims: BTreeMap<String, Vec<String>> = yaml(
        "{one: [ReadWriteOnce], one-pod: [ReadWriteOncePod], many: [ReadWriteOnce, ReadWriteMany], read: [ReadOnlyMany]}",
    );
    let around = Surroundings { claims: Some(&claims), ..Surroundings::default() };
    of_target(&preview(spec), &key(), target, &around)
}

fn mounting(volume: &str, mount: &str) -> Source {
    plain(&format!(
        "{{volumes: [{{name: data, {volume}}}], containers: [{{name: app, ports: [{{containerPort: 80}}], {mount}}}]}}"
    ))
}

const MOUNT: &str = "volumeMounts: [{name: data, mountPath: /data}]";
const READ_ONLY: &str = "volumeMounts: [{name: data, mountPath: /data, readOnly: true}]";

#[test]
fn claims_of_one_node_are_refused() {
    for (claim, mode) in [("one", "ReadWriteOnce"), ("one-pod", "ReadWriteOncePod")] {
        let target = mounting(&format!("persistentVolumeClaim: {{claimName: {claim}}}"), READ_ONLY);
        let refusal = clone(&target, "{}").unwrap_err();
        assert_eq!(refusal.code(), "ClaimNotShareable");
        assert!(
            refusal.to_string().contains(&format!("PersistentVolumeClaim {claim}, which is {mode} and")),
            "{refusal}"
        );
    }
}

#[test]
fn claims_of_all_nodes_are_shared_and_said_to_be() {
    let claim = |name: &str| format!("persistentVolumeClaim: {{claimName: {name}}}");
    for (claim, mount, expected) in [
        (claim("many"), MOUNT, Some("ClaimShared")),
        (claim("many"), "volumeDevices: [{name: data, devicePath: /d}]", Some("ClaimShared")),
        (claim("many"), READ_ONLY, None),
        (claim("read"), MOUNT, None),
        (claim("none"), MOUNT, Some("ClaimUnknown")),
        ("hostPath: {path: /var/log}".to_owned(), MOUNT, Some("HostPathWritable")),
        ("hostPath: {path: /var/log}".to_owned(), READ_ONLY, None),
        ("emptyDir: {}".to_owned(), MOUNT, None),
        ("ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}".to_owned(), MOUNT, None),
        ("csi: {driver: secrets-store.csi.k8s.io, readOnly: true}".to_owned(), MOUNT, None),
        ("nfs: {server: nas, path: /}".to_owned(), MOUNT, None),
    ] {
        let children = clone(&mounting(&claim, mount), "{}").unwrap();
        let reasons: Vec<_> = children.warnings.iter().map(|w| w.reason).collect();
        assert_eq!(reasons, expected.into_iter().collect::<Vec<_>>(), "{claim} {mount}");
    }
}

#[test]
fn a_volume_that_only_skipped_containers_mount_goes_with_them() {
    let target = plain(
        "{volumes: [{name: data, persistentVolumeClaim: {claimName: one}}, {name: spare, emptyDir: {}}], \
          initContainers: [{name: migrate, volumeMounts: [{name: data, mountPath: /data}]}]}",
    );
    assert_eq!(clone(&target, "{}").unwrap_err().code(), "ClaimNotShareable");
    let children = clone(&target, "{skipInitContainers: true}").unwrap();
    assert_eq!(pods(&children).0["volumes"], json!([{ "name": "spare", "emptyDir": {} }]));
    assert!(children.warnings.is_empty(), "{:?}", children.warnings);
}

#[test]
fn disks_named_in_the_pod_are_refused() {
    for volume in [
        "gcePersistentDisk: {pdName: disk}",
        "awsElasticBlockStore: {volumeID: disk}",
        "rbd: {monitors: [a], image: disk}",
        "vsphereVolume: {volumePath: disk}",
    ] {
        assert_eq!(clone(&mounting(volume, MOUNT), "{}").unwrap_err().code(), "DiskNotShareable", "{volume}");
    }
    clone(&mounting("gcePersistentDisk: {pdName: disk, readOnly: true}", MOUNT), "{}").unwrap();
}

#[test]
fn claim_templates_are_refused_unless_empty_volumes_will_do() {
    let mut database = source(
        TargetKind::StatefulSet,
        "spec: {containers: [{name: db, ports: [{containerPort: 5432}], volumeMounts: [{name: data, mountPath: /data, subPath: pg}]}], \
         volumes: [{name: data, emptyDir: {medium: Memory}}, {name: other, emptyDir: {}}]}",
    );
    database.claim_templates = yaml("[{metadata: {name: data}}, {metadata: {name: log}}]");
    let refusal = clone(&database, "{}").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "StatefulSet my-app has the claim templates data, log, whose volumes cannot be shared: \
         set claimTemplates to emptyDir to start the preview with empty volumes"
    );
    let children = clone(&database, "{claimTemplates: emptyDir}").unwrap();
    let (spec, _) = pods(&children);
    assert_eq!(
        spec["volumes"],
        json!([{ "name": "other", "emptyDir": {} }, { "name": "data", "emptyDir": {} }, { "name": "log", "emptyDir": {} }])
    );
    let reasons: Vec<_> = children.warnings.iter().map(|w| w.reason).collect();
    assert_eq!(reasons, ["NoStableIdentity", "StartsEmpty"]);
}

#[test]
fn an_empty_volume_is_no_block_device() {
    let mut database = source(
        TargetKind::StatefulSet,
        "spec: {containers: [{name: db, ports: [{containerPort: 5432}], volumeDevices: [{name: data, devicePath: /dev/xvda}]}]}",
    );
    database.claim_templates = yaml("[{metadata: {name: data}}]");
    assert_eq!(clone(&database, "{claimTemplates: emptyDir}").unwrap_err().code(), "BlockDevice");
}
