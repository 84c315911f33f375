//! The last table on disk, so that an agent that is started anew steers before the API answers.
//!
//! A NodeTable document, as `--routes` would take it. It is written beside and renamed, by a thread of its own: a
//! slow disk must not hold back an acknowledgement.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::mpsc,
};

use byway_api::NodeTableFile;
use serde_json::{Value, json};

use super::{Document, object};

#[cfg(test)]
mod tests;

/// Larger than any object that the API server takes.
const MOST_BYTES: u64 = 4 << 20;

/// The folder, and who writes to it.
pub(super) struct State {
    file: PathBuf,
    node: String,
    /// `None`: there is nothing to steer.
    writer: mpsc::Sender<Option<Value>>,
}

impl State {
    pub(super) fn new(dir: &Path, node: &str) -> std::io::Result<Self> {
        let file = dir.join("routes.json");
        let (writer, orders) = mpsc::channel::<Option<Value>>();
        let (target, name) = (file.clone(), node.to_owned());
        let write = move || {
            while let Ok(mut spec) = orders.recv() {
                while let Ok(newer) = orders.try_recv() {
                    spec = newer;
                }
                if let Err(error) = write(&target, &name, spec) {
                    let file = target.display();
                    tracing::warn!(%error, "cannot write {file}: a restart would steer what it says, until the API answers");
                }
            }
        };
        std::thread::Builder::new().name("state".to_owned()).spawn(write)?;
        Ok(Self { file, node: node.to_owned(), writer })
    }

    /// What was in force last; nothing, if there is no file or it is damaged.
    pub(super) fn read(&self) -> Option<Document> {
        let read = || -> Result<Option<Document>, String> {
            let file = match fs::File::open(&self.file) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                file => file.map_err(|e| e.to_string())?,
            };
            let mut bytes = Vec::new();
            file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            if bytes.len() as u64 > MOST_BYTES {
                return Err(format!("more than {MOST_BYTES} bytes"));
            }
            parse(&bytes, &self.node).map(Some)
        };
        read().unwrap_or_else(|error| {
            let file = self.file.display();
            tracing::warn!("{file} is passed over ({error}): what is steered comes from the API");
            None
        })
    }

    /// Remembers what is in force.
    pub(super) fn write(&self, table: Option<Value>) {
        let _ = self.writer.send(table); // the thread ends with the process
    }
}

fn parse(bytes: &[u8], node: &str) -> Result<Document, String> {
    let mut document: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if document["kind"] != NodeTableFile::KIND || document["apiVersion"] != NodeTableFile::API_VERSION {
        return Err(format!("not {} {}", NodeTableFile::API_VERSION, NodeTableFile::KIND));
    }
    if document["metadata"]["name"] != node {
        return Err(format!("of another node, {}", document["metadata"]["name"]));
    }
    object::read(document["spec"].take()).map_err(|e| e.to_string())
}

fn write(file: &Path, node: &str, table: Option<Value>) -> std::io::Result<()> {
    let Some(table) = table else {
        return match fs::remove_file(file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        };
    };
    let document = json!({
        "apiVersion": NodeTableFile::API_VERSION,
        "kind": NodeTableFile::KIND,
        "metadata": { "name": node },
        "spec": table,
    });
    let fresh = file.with_extension("new");
    fs::write(&fresh, document.to_string())?;
    fs::rename(&fresh, file)
}
