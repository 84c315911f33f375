//! Image archives, read back.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::process::Command;

use byway_tests::{Image, Scratch};
use serde_json::{Value, json};

#[test]
fn an_image_names_its_parts_by_their_checksums() {
    let folder = Scratch::new("image").unwrap();
    let archive = folder.path().join("app.tar");
    let image = Image::new("localhost/app:1").content("#!/bin/sh\n", "/opt/app/run", 0o755);
    let image = image.link("/run", "opt/app/run").user("1:1").env("A", "b").entrypoint(["/run"]);
    image.write(&archive).unwrap();
    let first = fs::read(&archive).unwrap();
    image.write(&archive).unwrap();
    assert_eq!(fs::read(&archive).unwrap(), first, "the same files make the same image");

    let parts = contents(&first);
    let manifest: Value = serde_json::from_slice(&parts["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"], json!(["localhost/app:1"]));
    let config_name = manifest[0]["Config"].as_str().unwrap();
    let layer = &parts[manifest[0]["Layers"][0].as_str().unwrap()];
    let config: Value = serde_json::from_slice(&parts[config_name]).unwrap();
    assert_eq!(
        config["config"],
        json!({ "Entrypoint": ["/run"], "Env": ["PATH=/bin", "A=b"], "User": "1:1" })
    );
    assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{}", sha256(layer, &folder))]));
    assert_eq!(config_name, format!("blobs/sha256/{}", sha256(&parts[config_name], &folder)));

    let files = contents(layer);
    assert_eq!(files["opt/app/run"], b"#!/bin/sh\n");
    for folder in ["tmp", "opt", "opt/app", "run"] {
        assert!(files.contains_key(folder), "{folder}: {:?}", files.keys());
    }
}

/// What registries keep, <https://github.com/opencontainers/image-spec>.
#[test]
fn an_archive_is_an_oci_layout_too() {
    let folder = Scratch::new("image").unwrap();
    let archive = folder.path().join("app.tar");
    let image = |architecture: &str| {
        let image = Image::new("localhost/app:1").content(architecture, "/app", 0o755);
        image.label("org.opencontainers.image.version", "1").architecture(architecture)
    };
    Image::write_all(&[image("amd64"), image("arm64")], &archive).unwrap();
    let parts = contents(&fs::read(&archive).unwrap());
    let json = |part: &str| -> Value { serde_json::from_slice(&parts[part]).unwrap() };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let name = digest.replace("sha256:", "blobs/sha256/");
        assert_eq!(descriptor["size"], parts[&name].len());
        assert_eq!(digest, format!("sha256:{}", sha256(&parts[&name], &folder)));
        name
    };
    assert_eq!(json("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }));
    let named = &json("index.json")["manifests"][0];
    let names =
        json!({ "io.containerd.image.name": "localhost/app:1", "org.opencontainers.image.ref.name": "1" });
    assert_eq!(named["annotations"], names);
    let index = json(&blob(named));
    for (n, architecture) in ["amd64", "arm64"].into_iter().enumerate() {
        let descriptor = &index["manifests"][n];
        assert_eq!(descriptor["platform"], json!({ "os": "linux", "architecture": architecture }));
        let manifest = json(&blob(descriptor));
        assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1");
        assert_eq!(json(&blob(&manifest["config"]))["architecture"], architecture);
        let files = contents(&parts[&blob(&manifest["layers"][0])]);
        assert_eq!(files["app"], architecture.as_bytes());
    }
    // One that is for one platform needs no index in the index.
    image("arm64").write(&archive).unwrap();
    let parts = contents(&fs::read(&archive).unwrap());
    let index: Value = serde_json::from_slice(&parts["index.json"]).unwrap();
    assert_eq!(index["manifests"][0]["platform"]["architecture"], "arm64");
}

fn contents(archive: &[u8]) -> HashMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|mut entry| {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        })
        .collect()
}

/// By somebody else's implementation.
fn sha256(bytes: &[u8], folder: &Scratch) -> String {
    let file = folder.path().join("sum");
    fs::write(&file, bytes).unwrap();
    let said = Command::new("sha256sum").arg(file).output().unwrap().stdout;
    String::from_utf8(said).unwrap().split(' ').next().unwrap().to_owned()
}
