use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use byway_tests::Scratch;

use super::load::{Place, command, finish};
use crate::programs::PROGRAMS;
use crate::workspace;

/// What a program of this name is called with, and how it ended.
fn called(program: &str, place: Place, cluster: Option<&str>, status: u8) -> (String, bool) {
    let folder = Scratch::new("load").unwrap();
    let (file, said) = (folder.path().join(program), folder.path().join("said"));
    fs::write(&file, format!("#!/bin/sh\necho \"$0 $*\" > {}\nexit {status}\n", said.display())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(place, cluster, Path::new("/images/byway-agent.tar")).unwrap();
    let done = finish(command.env("PATH", folder.path()));
    let said = fs::read_to_string(said).unwrap();
    let name = said.trim().rsplit_once(&format!("{}/", folder.path().display())).unwrap().1;
    (name.to_owned(), done.is_ok())
}

#[test]
fn each_kind_of_cluster_is_loaded_by_its_own_program() {
    let archive = "/images/byway-agent.tar";
    let cases = [
        ("kind", Place::Kind, None, format!("kind load image-archive {archive}")),
        ("kind", Place::Kind, Some("dev"), format!("kind load image-archive {archive} --name dev")),
        ("k3d", Place::K3d, None, format!("k3d image import {archive}")),
        ("k3d", Place::K3d, Some("dev"), format!("k3d image import {archive} --cluster dev")),
        ("ctr", Place::Ctr, None, format!("ctr --namespace=k8s.io images import {archive}")),
    ];
    for (program, into, cluster, wanted) in cases {
        assert_eq!(called(program, into, cluster, 0), (wanted, true));
    }
    assert!(!called("kind", Place::Kind, None, 1).1, "what fails is an error");
    let error = command(Place::Ctr, Some("dev"), Path::new("a")).unwrap_err().to_string();
    assert!(error.contains("--cluster"), "{error}");
}

/// The same images for whoever has an engine.
#[test]
fn the_containerfile_makes_the_same_images() {
    let text = fs::read_to_string(workspace::root().join("Containerfile")).unwrap();
    for program in PROGRAMS {
        let target = program.name.trim_start_matches("byway-");
        let stage = text.split("\nFROM ").find(|stage| stage.starts_with(&format!("scratch AS {target}\n")));
        let stage = stage.unwrap_or_else(|| panic!("no target {target}"));
        let name = program.name;
        for line in [
            format!("COPY --from=build /out/{name} /{name}"),
            format!("USER {}", program.user),
            format!("ENTRYPOINT [\"/{name}\"]"),
        ] {
            assert!(stage.lines().any(|it| it == line), "{target} lacks: {line}");
        }
    }
    let version = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(text.contains(&version), "it builds with another Rust than the workspace asks for");
}
