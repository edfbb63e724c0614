//! The lock between processes. It belongs to an open file and dies with its process.

use super::storage::{Lock, Storage, StoredFile};
use crate::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The lock, held until dropped.
pub(crate) struct Guard(Arc<dyn StoredFile>);

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing can be done about a failure; the lock then goes with its handle.
        let _ = self.0.unlock();
    }
}

/// Why a lock could not be taken: what was tried, and the system's words.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub action: &'static str,
    pub cause: io::Error,
}

impl Refusal {
    /// As an error about the lock file `path`.
    pub fn at(self, path: &Path) -> Error {
        Error::io(self.action, path, self.cause)
    }
}

/// Takes the lock of a lock file. A file that was deleted meanwhile locks nobody out: then it is opened anew.
pub(crate) fn acquire(
    storage: &dyn Storage,
    path: &Path,
    handle: &mut Arc<dyn StoredFile>,
    how: Lock,
) -> Result<Guard, Refusal> {
    let refused = |action| move |cause| Refusal { action, cause };
    loop {
        while let Err(e) = handle.lock(how) {
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(refused("lock")(e));
            }
        }
        let guard = Guard(handle.clone());
        let mine = handle.stat().map_err(refused("find"))?;
        if storage.stat(path).is_ok_and(|there| there.identity == mine.identity) {
            return Ok(guard);
        }
        drop(guard);
        *handle = storage.open(path).map_err(refused("open"))?;
    }
}
