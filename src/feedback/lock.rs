//! The lock between processes. It belongs to an open file and dies with its process.

use super::log::Fault;
use super::storage::{Lock, Storage, StoredFile};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The lock, held until dropped.
pub(super) struct Guard(Arc<dyn StoredFile>);

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing can be done about a failure; the lock then goes with its handle.
        let _ = self.0.unlock();
    }
}

/// Takes the lock of a lock file. A file that was deleted meanwhile locks nobody out: then it is opened anew.
pub(super) fn acquire(
    storage: &dyn Storage,
    path: &Path,
    handle: &mut Arc<dyn StoredFile>,
    how: Lock,
) -> Result<Guard, Fault> {
    loop {
        while let Err(e) = handle.lock(how) {
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(Fault::of("lock", path, &e));
            }
        }
        let guard = Guard(handle.clone());
        let mine = handle.stat().map_err(|e| Fault::of("find", path, &e))?;
        if storage.stat(path).is_ok_and(|there| there.identity == mine.identity) {
            return Ok(guard);
        }
        drop(guard);
        *handle = storage.open(path).map_err(|e| Fault::of("open", path, &e))?;
    }
}
