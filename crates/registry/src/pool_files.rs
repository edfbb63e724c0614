//! Pooled models as files: `pools/{SHA-256}.pool`, beside the folders of the markets whose versions need them.

use super::folder::{entries, version_of};
use super::pool::{Pool, checksum, checksum_of, from_hex, hex, of_version};
use super::store::Checksum;
use domain::error::{Error, Result};
use learning::model::file;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use storage::{UNFINISHED, sync_folder, write_atomically};

/// The files of one registry, or of a database's cache.
pub struct PoolFiles {
    /// The folder that contains the markets' folders.
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

    /// The bytes of a pooled model; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::ModelFile`] if it is damaged; [`Error::Io`].
    pub fn read(&self, expected: &Checksum) -> Result<Option<Vec<u8>>> {
        let path = self.path(expected);
        match std::fs::read(&path) {
            Ok(bytes) if checksum(&bytes) == *expected => Ok(Some(bytes)),
            Ok(_) => damaged(&path),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Whether an undamaged pooled model exists.
    pub fn has(&self, expected: &Checksum) -> Result<bool> {
        let path = self.path(expected);
        match File::open(&path).and_then(checksum_of) {
            Ok(found) => Ok(found == *expected),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Writes a pooled model unless it exists. Afterwards it survives a power failure, whoever wrote it.
    pub fn keep(&self, pool: &Pool) -> Result<()> {
        if self.has(pool.checksum())? {
            // Its writer may have died before this.
            sync_folder(&self.folder())?;
        } else {
            write_atomically(&self.path(pool.checksum()), pool.bytes())?;
        }
        sync_folder(&self.root)
    }

    /// Deletes the pooled models that no version needs, and unfinished files of a crash. The caller prevents others from writing
    /// meanwhile. Nothing is deleted while it is unknown what some version needs.
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
                // A file that cannot be deleted now, as on Windows while it is read, is deleted by the next purge.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The pooled models that the versions of all markets need.
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

/// The error for a pooled model whose bytes do not fit its name.
pub fn damaged<T>(path: &Path) -> Result<T> {
    file::refuse(path, "it is damaged (checksum mismatch)".to_owned())
}
