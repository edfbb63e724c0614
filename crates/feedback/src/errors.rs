//! What goes wrong with the files of a store, as errors of the feedback store.

use super::journal::Asked;
use domain::error::{Error, Resource, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::disk::{Lock, Storage};
use storage::lock::{FileLock, Guard};

/// A file operation that failed.
pub fn failed(action: &'static str, path: &Path, cause: std::io::Error) -> Error {
    Error::io(action, path, cause).of(Resource::FeedbackStore)
}

/// A file that does not hold what it must.
pub fn damaged(problem: String) -> Error {
    Error::storage(Resource::FeedbackStore, problem)
}

/// Opens a file that is locked.
pub fn lock_file(storage: &Arc<dyn Storage>, path: &Path) -> Result<FileLock> {
    FileLock::open(Resource::FeedbackStore, storage.clone(), path).map_err(|error| error.of(Resource::FeedbackStore))
}

/// Takes the lock of a file for a call that was made at `asked`.
pub fn lock(file: &mut FileLock, mode: Lock, asked: Asked, patience: Duration) -> Result<Guard> {
    file.lock(mode, asked, patience).map_err(|error| error.of(Resource::FeedbackStore))
}
