//! The few disk operations that shared files need, as a trait, so that tests can make each of them fail.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Metadata of a path or an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Distinguishes a file from a later one of the same name. 0 on systems without such a number, where a replaced log shows by
    /// its length and last line.
    pub identity: u64,
    /// Length in bytes.
    pub len: u64,
}

/// Storage for files: a disk, or in tests one that fails.
pub trait Storage: Send + Sync {
    /// Opens for reading and appending; creates the file if it is missing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>>;
    /// Metadata of the file at a path.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Renames `from` over `to`; the new file keeps the permissions of the old.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes new names and renames in `folder` survive a power failure.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file.
pub trait StoredFile: Send + Sync {
    /// Reads at an offset like `pread`: may read less than asked, 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at the end of the file; may write less than asked.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Truncates the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes what was written survive a power failure.
    fn sync(&self) -> io::Result<()>;
    /// Metadata of the open file.
    fn stat(&self) -> io::Result<Stat>;
    /// Tries to lock the whole file; `false` if others hold the lock. The lock ends with [`StoredFile::unlock`] or with the
    /// process.
    fn try_lock(&self, how: Lock) -> io::Result<bool>;
    /// Releases the lock.
    fn unlock(&self) -> io::Result<()>;
}

/// The kind of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Excludes writers.
    Shared,
    /// Excludes everyone.
    Exclusive,
}

/// Appends all of `bytes`.
pub fn append_all(file: &dyn StoredFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Fills `buffer` from `offset` until it is full or the file ends; returns the number of bytes read.
pub fn read_full(file: &dyn StoredFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// The real disk.
pub struct Disk;

impl Storage for Disk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        Ok(Arc::new(file))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        std::fs::metadata(path).map(|meta| stat_of(&meta))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        crate::keep_permissions(from, to)?;
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        crate::sync_folder(folder).map_err(io::Error::other)
    }
}

impl StoredFile for File {
    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buffer, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn stat(&self) -> io::Result<Stat> {
        self.metadata().map(|meta| stat_of(&meta))
    }

    fn try_lock(&self, how: Lock) -> io::Result<bool> {
        let taken = match how {
            Lock::Shared => File::try_lock_shared(self),
            Lock::Exclusive => File::try_lock(self),
        };
        match taken {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        File::unlock(self)
    }
}

#[cfg(unix)]
fn stat_of(meta: &std::fs::Metadata) -> Stat {
    Stat { identity: std::os::unix::fs::MetadataExt::ino(meta), len: meta.len() }
}

#[cfg(not(unix))]
fn stat_of(meta: &std::fs::Metadata) -> Stat {
    Stat { identity: 0, len: meta.len() }
}
