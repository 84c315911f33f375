//! Container images made of files, without a container engine.
//!
//! One layer, and a configuration that names it; [`archive`] puts them into a file that engines and registries' tools read.

use std::env::consts::ARCH;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tar::{Builder, EntryType, Header};

mod archive;

use archive::sha256;

/// An image of one layer.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    entries: Vec<Entry>,
    entrypoint: Vec<String>,
    user: String,
    env: Vec<String>,
    labels: Map<String, Value>,
    architecture: String,
}

#[derive(Clone, Debug)]
struct Entry {
    path: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    File { content: Vec<u8>, mode: u32 },
    Link { target: String },
    Folder { mode: u32 },
}

impl Image {
    /// An image with nothing in it but `/tmp`. The name has a tag: `localhost/app:1`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let image = Self {
            name: name.to_owned(),
            entries: Vec::new(),
            entrypoint: Vec::new(),
            user: String::new(),
            env: vec!["PATH=/bin".to_owned()],
            labels: Map::new(),
            architecture: architecture(ARCH).to_owned(),
        };
        image.add("/tmp", What::Folder { mode: 0o1777 })
    }

    /// Copies a file of this machine to an absolute path, as an executable.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn file(self, source: &Path, path: &str) -> Result<Self> {
        let content = fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        Ok(self.content(content, path, 0o755))
    }

    /// Puts bytes at an absolute path.
    #[must_use]
    pub fn content(self, content: impl Into<Vec<u8>>, path: &str, mode: u32) -> Self {
        self.add(path, What::File { content: content.into(), mode })
    }

    /// Makes a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.add(path, What::Link { target: target.to_owned() })
    }

    /// A shell and small tools: a statically linked busybox of this machine, and links to it in `/bin`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or needs libraries.
    pub fn busybox(self, busybox: &Path) -> Result<Self> {
        const TOOLS: &str = "sh httpd wget sleep ls mount cat echo nc ip id ps touch env true false kill grep head hostname timeout";
        let image = self.file(busybox, "/bin/busybox")?;
        let is_static = matches!(image.entries.last(), Some(Entry { what: What::File { content, .. }, .. })
            if !content.windows(4).any(|bytes| bytes == b"/ld-"));
        ensure!(is_static, "{} needs libraries: install busybox-static", busybox.display());
        Ok(TOOLS.split(' ').fold(image, |image, tool| image.link(&format!("/bin/{tool}"), "busybox")))
    }

    /// What a container runs if its pod says nothing else.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.entrypoint = command.into_iter().map(Into::into).collect();
        self
    }

    /// Who runs it, as in `65532:65532`; root without this.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// A label, as `org.opencontainers.image.source`.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.into());
        self
    }

    /// What machines it is for, as images say it: `amd64`, `arm64`. This machine without this.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// Writes the archive.
    ///
    /// # Errors
    ///
    /// When there is no room.
    pub fn write(&self, archive: &Path) -> Result<()> {
        Self::write_all(std::slice::from_ref(self), archive)
    }

    /// Writes one archive of an image that was made for several architectures.
    ///
    /// # Errors
    ///
    /// When there is none, or no room.
    pub fn write_all(images: &[Self], archive: &Path) -> Result<()> {
        archive::write(images, archive)
    }

    fn add(mut self, path: &str, what: What) -> Self {
        self.entries.push(Entry { path: path.trim_start_matches('/').to_owned(), what });
        self
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut tar = Builder::new(Vec::new());
        let mut folders = Vec::new();
        for Entry { path, what } in &self.entries {
            for (at, _) in path.match_indices('/') {
                let folder = &path[..at];
                if !folders.contains(&folder) {
                    folders.push(folder);
                    tar.append_data(&mut header(EntryType::Directory, 0o755, 0), folder, &[][..])?;
                }
            }
            match what {
                What::Folder { mode } => {
                    folders.push(path);
                    tar.append_data(&mut header(EntryType::Directory, *mode, 0), path, &[][..])?;
                }
                What::File { content, mode } => {
                    let mut header = header(EntryType::Regular, *mode, content.len());
                    tar.append_data(&mut header, path, content.as_slice())?;
                }
                What::Link { target } => {
                    tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target)?;
                }
            }
        }
        Ok(tar.into_inner()?)
    }

    fn config(&self, layer: &[u8]) -> Value {
        let mut config = json!({ "Entrypoint": self.entrypoint, "Env": self.env, "User": self.user });
        if !self.labels.is_empty() {
            config["Labels"] = self.labels.clone().into();
        }
        json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(layer))] },
        })
    }
}

/// What images call an architecture that Rust calls so.
pub(crate) fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    // Root's, and of no time: the same files make the same image.
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
