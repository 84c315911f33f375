//! Files that a Preview adds to its container.
//!
//! What stands in the Preview comes in a ConfigMap that it owns. Its name has the hash of what is in it, and it cannot be
//! changed: a pod that starts while the files change never gets those of another revision from the kubelet's cache.

use std::collections::BTreeMap;

use byway_api::{Contents, Key, Preview, names};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, PodSpec, SecretVolumeSource, Volume, VolumeMount,
};

use super::deployment;

#[cfg(test)]
mod tests;

/// Names of the volumes begin so.
const VOLUME: &str = "byway-files";

/// Mounts the Preview's files in the container `chosen`, each over what lies at its path, and gives what they are read from,
/// where that is not there already.
pub(super) fn mount(spec: &mut PodSpec, chosen: &str, preview: &Preview, key: &Key) -> Option<ConfigMap> {
    let own = own(preview, key);
    let name = own.as_ref().and_then(|it| it.metadata.name.clone());
    let mut volumes: Vec<Volume> = Vec::new();
    let mut mounts = Vec::new();
    for (n, file) in preview.spec.files.iter().enumerate() {
        let (source, key) = match file.contents() {
            Contents::Secret(entry) => (of_secret(&entry.name), entry.key.clone()),
            Contents::ConfigMap(entry) => (of_config_map(&entry.name), entry.key.clone()),
            Contents::Text(_) | Contents::Binary(_) => {
                (of_config_map(name.as_deref().unwrap_or_default()), names::file_entry(n, &file.path))
            }
        };
        let same = |it: &&Volume| Volume { name: String::new(), ..(*it).clone() } == source;
        let volume = volumes.iter().find(same).map(|it| it.name.clone()).unwrap_or_else(|| {
            let name = format!("{VOLUME}-{}", volumes.len());
            volumes.push(Volume { name: name.clone(), ..source });
            name
        });
        mounts.push(VolumeMount {
            name: volume,
            mount_path: file.path.clone(),
            sub_path: Some(key),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    if !volumes.is_empty() {
        spec.volumes.get_or_insert_default().extend(volumes);
    }
    for container in spec.containers.iter_mut().filter(|it| it.name == chosen) {
        cover(container, &mounts);
    }
    own
}

/// The name of the ConfigMap that [`mount`] gives, if there is one.
#[must_use]
pub fn own_name(preview: &Preview, key: &Key) -> Option<String> {
    own(preview, key)?.metadata.name
}

/// Two mounts at one path would be refused: the target's goes.
fn cover(container: &mut Container, mounts: &[VolumeMount]) {
    if mounts.is_empty() {
        return;
    }
    let all = container.volume_mounts.get_or_insert_default();
    all.retain(|it| mounts.iter().all(|ours| ours.mount_path != it.mount_path.trim_end_matches('/')));
    all.extend_from_slice(mounts);
}

/// The ConfigMap with what stands in the Preview.
fn own(preview: &Preview, key: &Key) -> Option<ConfigMap> {
    let (mut texts, mut binaries) = (BTreeMap::new(), BTreeMap::new());
    for (n, file) in preview.spec.files.iter().enumerate() {
        let name = names::file_entry(n, &file.path);
        match file.contents() {
            Contents::Text(text) => drop(texts.insert(name, text.to_owned())),
            Contents::Binary(bytes) => drop(binaries.insert(name, ByteString(bytes.to_vec()))),
            Contents::ConfigMap(_) | Contents::Secret(_) => {}
        }
    }
    if texts.is_empty() && binaries.is_empty() {
        return None;
    }
    let mut metadata = deployment::metadata(preview, key);
    // Values that cannot fail to serialise.
    let bytes = serde_json::to_vec(&(&texts, &binaries)).unwrap_or_default();
    metadata.name = metadata.name.map(|name| format!("{name}-{}", names::hash(&[bytes], 10)));
    let mut map = ConfigMap {
        metadata,
        immutable: Some(true),
        data: (!texts.is_empty()).then_some(texts),
        binary_data: (!binaries.is_empty()).then_some(binaries),
    };
    deployment::stamp(&mut map);
    Some(map)
}

fn of_config_map(name: &str) -> Volume {
    let config_map = ConfigMapVolumeSource { name: name.to_owned(), ..ConfigMapVolumeSource::default() };
    Volume { config_map: Some(config_map), ..Volume::default() }
}

fn of_secret(name: &str) -> Volume {
    let secret = SecretVolumeSource { secret_name: Some(name.to_owned()), ..SecretVolumeSource::default() };
    Volume { secret: Some(secret), ..Volume::default() }
}
