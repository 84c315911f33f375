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
    assert_eq!(config_name, format!("{}.json", sha256(&parts[config_name], &folder)));

    let files = contents(layer);
    assert_eq!(files["opt/app/run"], b"#!/bin/sh\n");
    for folder in ["tmp", "opt", "opt/app", "run"] {
        assert!(files.contains_key(folder), "{folder}: {:?}", files.keys());
    }
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
