//! Files that survive crashes and that several processes share: atomic writes, locks, bounded reading, and the disk as a trait
//! whose faults tests can inject.
//!
//! It imports `domain`. It touches files only, and opens no connection.
//!
//! # Example
//! ```
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("state.json");
//! let before = storage::Stamp::of(&path).unwrap();
//! storage::write_atomically(&path, b"{}").unwrap();
//! assert_eq!(std::fs::read(&path).unwrap(), b"{}");
//! assert_ne!(storage::Stamp::of(&path).unwrap(), before);
//! ```

pub mod csv;
pub mod disk;
pub mod fence;
pub mod lines;
pub mod lock;
mod machine;

pub use machine::machine;

use domain::error::{Error, Result};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Prefix of the names of unfinished files. A crash may leave one behind.
pub const UNFINISHED: &str = ".writing-";

/// Writes `content` to `path`. Readers see either the old file or the new one, also after a crash: a temporary file in the same
/// folder is synced and renamed over the old, and the folder is synced.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(content).map_err(|e| Error::io("write", path, e)))
}

/// [`write_atomically`] for content that is written in pieces. If `write` fails, the old file stays.
pub fn write_atomically_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    create_folder(folder)?;
    let fail = |cause: std::io::Error| Error::io("write", path, cause);
    // Errors leave out the temporary name, which differs each time: repeated failures are recognised by their text.
    let nameless = |cause: std::io::Error| fail(cause.kind().into());
    let file = new_file(path, folder).map_err(nameless)?;
    let mut buffered = BufWriter::new(file.as_file());
    write(&mut buffered)?;
    buffered.into_inner().map_err(|e| fail(e.into_error()))?;
    file.as_file().sync_all().map_err(fail)?;
    keep_permissions(file.path(), path).map_err(fail)?;
    file.persist(path).map_err(|e| nameless(e.error))?;
    sync_folder(folder)
}

/// Creates `folder` and its parents if they are missing.
pub fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))
}

/// A temporary file that will become `path`. A new file gets the default permissions; one that replaces another is private until
/// it gets the permissions of the old file.
fn new_file(path: &Path, folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    if !path.exists() {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = path;
    builder.tempfile_in(folder)
}

/// Gives `from` the permissions of the file `to` that it will replace, if there is one.
#[cfg(unix)]
fn keep_permissions(from: &Path, to: &Path) -> std::io::Result<()> {
    let Some(replaced) = std::fs::metadata(to).ok().filter(std::fs::Metadata::is_file) else { return Ok(()) };
    // Some file systems do not allow permissions to change.
    if std::fs::metadata(from)?.permissions() == replaced.permissions() {
        return Ok(());
    }
    std::fs::set_permissions(from, replaced.permissions())
}

#[cfg(not(unix))]
fn keep_permissions(_from: &Path, _to: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Makes a rename in `folder` survive a power failure.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::io("sync", folder, e))
}

/// Windows journals renames itself, and has no way to sync a folder.
#[cfg(not(unix))]
pub fn sync_folder(_folder: &Path) -> Result<()> {
    Ok(())
}

/// A fingerprint of a file that changes when the file is replaced or grows.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct Stamp {
    modified: Option<std::time::SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Stamp {
    /// The stamp of `path`; `None` when there is no such file.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(Some(Self { modified: meta.modified().ok(), bytes: meta.len(), inode: inode(&meta) })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path, e)),
        }
    }
}

#[cfg(unix)]
fn inode(meta: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(meta)
}

#[cfg(not(unix))]
fn inode(_meta: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_and_leaves_no_temporary_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/er/file.txt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_replaced_keeps_its_permissions() {
        use crate::disk::{Disk, Storage};
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file.txt");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for wanted in [0o600, 0o640, 0o664] {
            write_atomically(&path, b"one").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(wanted)).unwrap();
            write_atomically(&path, b"two").unwrap();
            assert_eq!(mode(&path), wanted, "{wanted:o}");
            let copy = home.path().join("copy.txt");
            Disk.open(&copy).unwrap();
            Disk.rename(&copy, &path).unwrap();
            assert_eq!(mode(&path), wanted, "{wanted:o}, renamed over");
        }
    }
}
