//! Blocking work of an async caller.

use crate::error::{Error, Result};

/// Runs `work`, which computes or waits, on a thread of tokio's where it holds up no task.
///
/// # Errors
/// Those of `work`; [`Error::Internal`] for a panic in it.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Internal(e.to_string())))
}
