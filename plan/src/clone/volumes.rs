//! Volumes that a clone can share with its target, and those that it cannot.

use std::collections::BTreeMap;

use byway_api::ClaimTemplates;
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, PodSpec, Volume,
};

use super::{Refusal, Source, Surroundings, Warning, pod::containers, source::target_text, warn};

#[cfg(test)]
mod tests;

/// Judges the volumes in `spec`, and puts empty ones in the place of claim templates where the Preview wants that.
///
/// `spec` is the clone's, without the containers that it leaves out.
pub(super) fn share(
    spec: &mut PodSpec,
    source: &Source,
    templates: ClaimTemplates,
    around: &Surroundings<'_>,
) -> Result<Vec<Warning>, Refusal> {
    let mut warnings = Vec::new();
    if !source.claim_templates.is_empty() {
        warnings.push(empty_instead(spec, source, templates)?);
    }
    for volume in spec.volumes.iter().flatten() {
        if let Some(claim) = &volume.persistent_volume_claim {
            warnings.extend(of_claim(spec, source, volume, claim, around)?);
        } else if let Some(path) = volume.host_path.as_ref().filter(|_| is_writable(spec, volume)) {
            warnings.push(warn::host_path(&path.path));
        } else if is_exclusive_disk(volume) {
            return Err(Refusal::DiskNotShareable {
                target: target_text(source.kind, &source.name),
                volume: volume.name.clone(),
            });
        }
    }
    Ok(warnings)
}

fn empty_instead(spec: &mut PodSpec, source: &Source, templates: ClaimTemplates) -> Result<Warning, Refusal> {
    let target = || target_text(source.kind, &source.name);
    let names: Vec<String> =
        source.claim_templates.iter().filter_map(|claim| claim.metadata.name.clone()).collect();
    if templates == ClaimTemplates::Refuse {
        return Err(Refusal::ClaimTemplates { target: target(), templates: names.join(", ") });
    }
    for container in containers(spec) {
        let mut devices = container.volume_devices.iter().flatten();
        if let Some(device) = devices.find(|device| names.contains(&device.name)) {
            return Err(Refusal::BlockDevice {
                target: target(),
                container: container.name.clone(),
                template: device.name.clone(),
            });
        }
    }
    let warning = warn::starts_empty(&names);
    let volumes = spec.volumes.get_or_insert_default();
    // As of a StatefulSet's pods: a template's volume goes before one of the same name.
    volumes.retain(|volume| !names.contains(&volume.name));
    volumes.extend(names.into_iter().map(|name| Volume {
        name,
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }));
    Ok(warning)
}

fn of_claim(
    spec: &PodSpec,
    source: &Source,
    volume: &Volume,
    claim: &PersistentVolumeClaimVolumeSource,
    around: &Surroundings<'_>,
) -> Result<Option<Warning>, Refusal> {
    let name = &claim.claim_name;
    let Some(modes) = around.claims.and_then(|claims: &BTreeMap<_, _>| claims.get(name)) else {
        return Ok(Some(warn::claim_unknown(name)));
    };
    let has = |wanted: &str| modes.iter().any(|mode| mode == wanted);
    if !has("ReadWriteMany") && !has("ReadOnlyMany") {
        let mode = if has("ReadWriteOncePod") { "ReadWriteOncePod" } else { "ReadWriteOnce" };
        return Err(Refusal::ClaimNotShareable {
            target: target_text(source.kind, &source.name),
            claim: name.clone(),
            mode: mode.to_owned(),
        });
    }
    let written = has("ReadWriteMany") && claim.read_only != Some(true) && is_writable(spec, volume);
    Ok(written.then(|| warn::claim_shared(name)))
}

/// Whether a container can write to it.
fn is_writable(spec: &PodSpec, volume: &Volume) -> bool {
    let writes = |container: &Container| {
        let mut mounts = container.volume_mounts.iter().flatten();
        let mut devices = container.volume_devices.iter().flatten();
        mounts.any(|mount| mount.name == volume.name && mount.read_only != Some(true))
            || devices.any(|device| device.name == volume.name)
    };
    containers(spec).any(writes)
}

/// A disk named in the pod itself that one node at a time may write to: two that did would destroy its file system.
fn is_exclusive_disk(volume: &Volume) -> bool {
    let disk = |there: bool, read_only: Option<bool>| there && read_only != Some(true);
    let Volume { gce_persistent_disk: gce, aws_elastic_block_store: aws, azure_disk: azure, .. } = volume;
    let Volume { iscsi, rbd, fc, cinder, portworx_volume: portworx, vsphere_volume: vsphere, .. } = volume;
    let Volume { photon_persistent_disk: photon, scale_io, storageos, .. } = volume;
    disk(gce.is_some(), gce.as_ref().and_then(|d| d.read_only))
        || disk(aws.is_some(), aws.as_ref().and_then(|d| d.read_only))
        || disk(azure.is_some(), azure.as_ref().and_then(|d| d.read_only))
        || disk(iscsi.is_some(), iscsi.as_ref().and_then(|d| d.read_only))
        || disk(rbd.is_some(), rbd.as_ref().and_then(|d| d.read_only))
        || disk(fc.is_some(), fc.as_ref().and_then(|d| d.read_only))
        || disk(cinder.is_some(), cinder.as_ref().and_then(|d| d.read_only))
        || disk(portworx.is_some(), portworx.as_ref().and_then(|d| d.read_only))
        || disk(scale_io.is_some(), scale_io.as_ref().and_then(|d| d.read_only))
        || disk(storageos.is_some(), storageos.as_ref().and_then(|d| d.read_only))
        || vsphere.is_some()
        || photon.is_some()
}
