//! Blocking work in async code.

use crate::error::{Error, Result};

/// Runs `work`, which computes or blocks, on tokio's threads for blocking work, where it delays no task.
///
/// # Errors
/// The errors of `work`; [`Error::Internal`] if it panics.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Internal(e.to_string())))
}
