//! `cargo xtask extension`: `extension/` as one archive, the same bytes wherever and whenever it is packed.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::workspace;

/// What is only here to make the pictures of.
const SOURCES: [&str; 1] = ["icons/icon.svg"];

pub(crate) fn pack() -> Result<()> {
    let archive = workspace::target_dir().join("byway-extension.zip");
    fs::create_dir_all(workspace::target_dir())?;
    write(&workspace::root().join("extension"), File::create(&archive)?)?;
    println!("{}", archive.display());
    Ok(())
}

/// In the order of their names, of no time and of nobody. Stored: it is small, and a compressor's next
/// version would make other bytes of it.
fn write(folder: &Path, to: impl Write + Seek) -> Result<()> {
    let mut files = Vec::new();
    find(folder, &mut files)?;
    files.sort();
    let how = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(to);
    for file in files {
        let name = file.strip_prefix(folder)?.to_str().context("names of files are text")?;
        if !SOURCES.contains(&name) {
            zip.start_file(name, how)?;
            zip.write_all(&fs::read(&file)?)?;
        }
    }
    zip.finish()?;
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { find(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::write;
    use crate::workspace;

    #[test]
    fn it_is_the_same_bytes_whenever_it_is_packed() {
        let pack = || {
            let mut archive = Cursor::new(Vec::new());
            write(&workspace::root().join("extension"), &mut archive).unwrap();
            archive
        };
        let archive = pack();
        assert!(archive == pack());
        let zip = zip::ZipArchive::new(archive).unwrap();
        let names: Vec<&str> = zip.file_names().collect();
        assert!(names.contains(&"manifest.json") && names.contains(&"icons/16.png"), "{names:?}");
        assert!(names.is_sorted() && !names.contains(&"icons/icon.svg"), "{names:?}");
    }
}
