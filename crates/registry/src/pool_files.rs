//! Pooled models as files: `pools/{SHA-256}.pool`, beside the folders of the markets whose versions rest on them.

use super::folder::{entries, version_of};
use super::pool::{Pool, checksum, checksum_of, from_hex, hex, of_version};
use super::shelf::Checksum;
use domain::error::{Error, Result};
use learning::model::file;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use storage::{UNFINISHED, sync_folder, write_atomically};

/// The files of one registry, or of the cache of one database.
pub struct PoolFiles {
    /// The folder of the markets' folders.
    root: PathBuf,
}

impl PoolFiles {
    /// The files in this folder, which need not exist yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn folder(&self) -> PathBuf {
        self.root.join("pools")
    }

    /// The file of a pooled model.
    pub fn path(&self, checksum: &Checksum) -> PathBuf {
        self.folder().join(format!("{}.pool", hex(checksum)))
    }

    /// The bytes of a pooled model; `None` when it is not there.
    ///
    /// # Errors
    /// [`Error::ModelFile`] when they are other ones; [`Error::Io`].
    pub fn read(&self, expected: &Checksum) -> Result<Option<Vec<u8>>> {
        let path = self.path(expected);
        match std::fs::read(&path) {
            Ok(bytes) if checksum(&bytes) == *expected => Ok(Some(bytes)),
            Ok(_) => damaged(&path),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Whether a pooled model is there, whole.
    pub fn has(&self, expected: &Checksum) -> Result<bool> {
        let path = self.path(expected);
        match File::open(&path).and_then(checksum_of) {
            Ok(found) => Ok(found == *expected),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Writes a pooled model, unless it is there. Afterwards it survives a power failure, whoever wrote it.
    pub fn keep(&self, pool: &Pool) -> Result<()> {
        if self.has(pool.checksum())? {
            // Whoever wrote it may have died before this.
            sync_folder(&self.folder())?;
        } else {
            write_atomically(&self.path(pool.checksum()), pool.bytes())?;
        }
        sync_folder(&self.root)
    }

    /// Deletes the pooled models that no version rests on, and what a crash left half written. Whoever calls this keeps others
    /// from writing meanwhile. All stay while it cannot be told what some version rests on.
    pub fn purge(&self) {
        let Ok(paths) = entries(&self.folder()) else { return };
        if paths.is_empty() {
            return;
        }
        let Ok(needed) = self.needed() else { return };
        for path in paths {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let pool = name.strip_suffix(".pool").and_then(from_hex);
            if name.starts_with(UNFINISHED) || pool.is_some_and(|pool| !needed.contains(&pool)) {
                // What cannot be deleted now, as on Windows while it is read, the next purge deletes.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The pooled models that the versions of all markets rest on.
    fn needed(&self) -> Result<HashSet<Checksum>> {
        let mut needed = HashSet::new();
        for folder in entries(&self.root)?.into_iter().filter(|path| path.is_dir()) {
            let versions = entries(&folder)?.into_iter().filter(|path| version_of(path).is_some() && !path.is_dir());
            for path in versions {
                match File::open(&path).and_then(|file| of_version(BufReader::new(file))) {
                    Ok(pool) => needed.extend(pool),
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(Error::io("read", &path, e)),
                }
            }
        }
        Ok(needed)
    }
}

/// That a pooled model has other bytes than its name says.
pub fn damaged<T>(path: &Path) -> Result<T> {
    file::refuse(path, "it is damaged (checksum mismatch)".to_owned())
}
