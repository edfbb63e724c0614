//! The lock between processes. It belongs to an open file and dies with its process.

use crate::disk::{Disk, Lock, Storage, StoredFile};
use domain::error::{Error, Resource, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pauses between two attempts: a write to memory takes about the first, a write to a disk more than the last.
const SHORTEST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// The lock, held until dropped.
pub struct Guard(Arc<dyn StoredFile>);

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing can be done about a failure; the lock then goes with its handle.
        let _ = self.0.unlock();
    }
}

/// A file whose lock keeps other processes away from a resource. It is open as long as this lives.
pub struct FileLock {
    resource: Resource,
    storage: Arc<dyn Storage>,
    path: PathBuf,
    file: Arc<dyn StoredFile>,
}

impl FileLock {
    /// Opens the file, which is created if it is missing, and takes its lock, waiting up to `patience` for others.
    ///
    /// # Errors
    /// Those of [`Self::open`] and [`Self::lock`].
    pub fn acquire(resource: Resource, path: &Path, mode: Lock, patience: Duration) -> Result<Guard> {
        Self::open(resource, Arc::new(Disk), path)?.lock(mode, Instant::now(), patience)
    }

    /// Opens a file whose lock is taken again and again; creates it if it is missing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(resource: Resource, storage: Arc<dyn Storage>, path: &Path) -> Result<Self> {
        let file = storage.open(path).map_err(|e| Error::io("open", path, e))?;
        Ok(Self { resource, storage, path: path.to_owned(), file })
    }

    /// Takes the lock, waiting for others until `patience` is over since the caller `asked`. A file that was replaced meanwhile
    /// locks nobody out: then the one that has its name now is opened.
    ///
    /// # Errors
    /// [`Error::Busy`], naming the holder where the system tells, when the lock was not to be had in time; [`Error::Io`].
    pub fn lock(&mut self, mode: Lock, asked: Instant, patience: Duration) -> Result<Guard> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            match self.file.try_lock(mode) {
                Ok(true) => {
                    let guard = Guard(self.file.clone());
                    if self.is_in_place().map_err(|e| Error::io("find", &self.path, e))? {
                        return Ok(guard);
                    }
                    drop(guard);
                    self.file = self.storage.open(&self.path).map_err(|e| Error::io("open", &self.path, e))?;
                }
                Ok(false) if asked.elapsed() >= patience => return Err(self.busy(patience)),
                Ok(false) => {
                    std::thread::sleep(pause);
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("lock", &self.path, e)),
            }
        }
    }

    /// Whether the open file still has its name: a deleted or replaced one locks nobody out.
    pub fn is_in_place(&self) -> io::Result<bool> {
        Ok(self.file.stat()?.identity == self.storage.stat(&self.path)?.identity)
    }

    fn busy(&self, patience: Duration) -> Error {
        let holder = self.file.stat().ok().and_then(|stat| holder(stat.identity));
        let (holder, advice) = match holder {
            None => ("another process".to_owned(), "call again".to_owned()),
            Some(Holder { pid, name, stopped: false }) => (format!("process {pid} ({name})"), "call again".to_owned()),
            Some(Holder { pid, name, stopped: true }) => (
                format!("process {pid} ({name}), which is stopped"),
                format!("let it go on (kill -CONT {pid}) or end it, and call again"),
            ),
        };
        let (path, waited) = (self.path.display(), patience.as_secs_f64());
        let problem = format!("{path} is held by {holder}, waited {waited} s; nothing was changed: {advice}");
        Error::busy(self.resource, problem)
    }
}

/// Who holds a lock.
struct Holder {
    pid: u32,
    name: String,
    /// By a signal: it will not go on by itself.
    stopped: bool,
}

/// Who holds the lock of the file with this inode number. Only Linux tells, and only of processes in the same container.
fn holder(inode: u64) -> Option<Holder> {
    // The list is not read in one go: while other locks come and go, an entry can be missed.
    (0..3).find_map(|_| listed_holder(inode))
}

fn listed_holder(inode: u64) -> Option<Holder> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`; those who wait have an arrow after the number.
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words[..] else { return None };
        (file.rsplit(':').next()?.parse() == Ok(inode)).then(|| running(pid.parse().ok()?))?
    })
}

/// A process that holds a lock, if it is in this container.
fn running(pid: u32) -> Option<Holder> {
    // `1234 (name) S …`; the name may hold anything.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    Some(Holder { pid, name, stopped: after.trim_start().starts_with(['T', 't']) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_goes_with_the_file_that_has_the_name_and_whoever_waits_is_told_for_what() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("task.lock");
        let take = || FileLock::acquire(Resource::Scheduler, &path, Lock::Exclusive, Duration::ZERO);
        let mut file = FileLock::open(Resource::ModelRegistry, Arc::new(Disk), &path).unwrap();
        let guard = file.lock(Lock::Exclusive, Instant::now(), Duration::ZERO).unwrap();
        let error = take().map(drop).unwrap_err();
        assert_eq!(error.code(), "ERR_STORE_BUSY");
        assert!(error.to_string().starts_with(&format!("scheduler: {} is held by ", path.display())), "{error}");
        drop(guard);
        drop(take().unwrap());

        std::fs::remove_file(&path).unwrap();
        assert!(file.is_in_place().is_err(), "there is none");
        let other = take().unwrap();
        assert!(!file.is_in_place().unwrap());
        // The file that was deleted is free, but the one that has its name now is not.
        assert!(matches!(file.lock(Lock::Shared, Instant::now(), Duration::ZERO), Err(Error::Busy { .. })));
        drop(other);
        let _guard = file.lock(Lock::Shared, Instant::now(), Duration::ZERO).unwrap();
        assert!(file.is_in_place().unwrap());
        drop(FileLock::acquire(Resource::Scheduler, &path, Lock::Shared, Duration::ZERO).unwrap());
    }
}
