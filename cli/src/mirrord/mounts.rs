//! `feature.preview.config_mounts` and `secret_mounts`: files that the preview has beside those of its image.

use std::path::Path;

use k8s_openapi::ByteString;

use super::{Reader, Section};
use crate::files::Files;

/// As in the CRD.
const MOST: usize = 50;

/// The files of both lists, and what of them is to be kept in a Secret.
pub(super) fn read(reader: &mut Reader<'_>, file: &Section<'_>) -> Files {
    let mut files = Files::default();
    for (name, is_secret) in [("config_mounts", false), ("secret_mounts", true)] {
        let Some(list) = file.at(&["feature", "preview", name]) else { continue };
        if !list.value.is_array() && !list.value.is_null() {
            reader.said.problem(&list.path, format!("is {}: write a list", list.what()));
        }
        for mount in list.items() {
            let Some((path, bytes)) = self::mount(reader, &mount) else { continue };
            if files.has(&path) {
                reader.said.problem(&mount.path, format!("{path} is mounted twice: leave one of them out"));
                continue;
            }
            files.add(0, path, bytes, is_secret);
        }
    }
    if files.list.len() > MOST {
        let message = format!("has {} files, at most {MOST} are allowed", files.list.len());
        reader.said.problem("feature.preview.config_mounts", message);
    }
    files
}

fn mount(reader: &mut Reader<'_>, mount: &Section<'_>) -> Option<(String, Vec<u8>)> {
    let Some(at) = mount.get("mount_at") else {
        reader.said.problem(&mount.path, "has no mount_at: name the file's absolute path in the container");
        return None;
    };
    let path = reader.text(&at)?;
    if let Err(message) = crate::files::path(&path) {
        reader.said.problem(&at.path, message);
        return None;
    }
    let (payload, from_file, kind) = (mount.get("payload"), mount.get("from_file"), mount.get("type"));
    let bytes = match (payload, from_file, kind) {
        (Some(payload), None, Some(kind)) => self::payload(reader, &payload, &kind)?,
        (None, Some(from), None) => {
            let from_path = reader.text(&from)?;
            match reader.outside.bytes(Path::new(&from_path)) {
                Ok(bytes) => bytes,
                Err(error) => {
                    reader.said.problem(
                        &from.path,
                        format!(
                            "{from_path} cannot be read ({error}): the path is from where the command runs"
                        ),
                    );
                    return None;
                }
            }
        }
        (Some(_), None, None) => {
            reader.said.problem(&mount.path, "has no type: write \"text\" or \"binary\" beside payload");
            return None;
        }
        (Some(_), Some(_), _) => {
            reader.said.problem(&mount.path, "has both payload and from_file: leave one of them out");
            return None;
        }
        (None, Some(_), Some(kind)) => {
            reader.said.problem(&kind.path, "is for payload alone: what is in a file is seen from it");
            return None;
        }
        (None, None, _) => {
            reader.said.problem(&mount.path, "is empty: give payload and type, or from_file");
            return None;
        }
    };
    Some((path, bytes))
}

fn payload(reader: &mut Reader<'_>, payload: &Section<'_>, kind: &Section<'_>) -> Option<Vec<u8>> {
    let (text, word) = (reader.text(payload)?, reader.text(kind)?);
    match word.as_str() {
        "text" => Some(text.into_bytes()),
        "binary" => {
            // As the API server reads it.
            let decoded: Result<ByteString, _> = serde_json::from_value(text.into());
            let wrong =
                |_| reader.said.problem(&payload.path, "is no base64, which the type \"binary\" asks for");
            decoded.map(|bytes| bytes.0).map_err(wrong).ok()
        }
        other => {
            reader.said.problem(&kind.path, format!("{other:?} is no type: write \"text\" or \"binary\""));
            None
        }
    }
}
