//! An image as one file, in two formats at once that share their parts: an OCI image layout, with an index that names the
//! platform, and what `docker save` writes.
//!
//! So `docker load`, `podman load`, `ctr images import`, `kind`, `k3d`, `skopeo` (both `oci-archive:` and `docker-archive:`)
//! and `crane push` all take it.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType};

use super::{Image, header};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// One image, by its architectures. The first is what readers of the older format get.
pub(super) fn write(images: &[Image], archive: &Path) -> Result<()> {
    let first = images.first().context("an archive needs an image")?;
    let file = File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
    let mut tar = Archive(Builder::new(file));
    let mut manifests = Vec::new();
    let mut old = Value::Null;
    for image in images {
        let content = image.layer()?;
        let layer = tar.blob(LAYER, &content)?;
        let config = tar.json(CONFIG, &image.config(&content))?;
        if old.is_null() {
            old = json!([{ "Config": path(&config), "RepoTags": [first.name], "Layers": [path(&layer)] }]);
        }
        let mut manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        if !image.labels.is_empty() {
            manifest["annotations"] = image.labels.clone().into();
        }
        let mut manifest = tar.json(MANIFEST, &manifest)?;
        manifest["platform"] = json!({ "architecture": image.architecture, "os": "linux" });
        manifests.push(manifest);
    }
    // Several become an index of their own, so that there is one thing that has the name.
    let mut named = match <[Value; 1]>::try_from(manifests) {
        Ok([manifest]) => manifest,
        Err(manifests) => {
            tar.json(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }))?
        }
    };
    let tag = first.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    named["annotations"] =
        json!({ "io.containerd.image.name": first.name, "org.opencontainers.image.ref.name": tag });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [named] });
    tar.file("oci-layout", json!({ "imageLayoutVersion": "1.0.0" }).to_string().as_bytes())?;
    tar.file("index.json", index.to_string().as_bytes())?;
    tar.file("manifest.json", old.to_string().as_bytes())?;
    Ok(tar.0.into_inner()?.sync_data()?)
}

struct Archive(Builder<File>);

impl Archive {
    fn json(&mut self, media_type: &str, value: &Value) -> Result<Value> {
        self.blob(media_type, value.to_string().as_bytes())
    }

    /// Adds a part; returns what others name it by.
    fn blob(&mut self, media_type: &str, content: &[u8]) -> Result<Value> {
        let digest = format!("sha256:{}", sha256(content));
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": content.len() });
        self.file(&path(&descriptor), content)?;
        Ok(descriptor)
    }

    fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        Ok(self.0.append_data(&mut header(EntryType::Regular, 0o644, content.len()), name, content)?)
    }
}

/// Where in the archive a part is.
fn path(descriptor: &Value) -> String {
    format!("blobs/{}", descriptor["digest"].as_str().unwrap_or_default().replace(':', "/"))
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
