//! The lifetime of a loop: which calls are running, and whether the loop is closing.

use domain::cancel::Cancel;
use domain::error::{Error, Result};
use std::sync::Arc;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// A running call. Closing the loop waits until this is dropped.
pub type Call = OwnedRwLockReadGuard<()>;

/// The lifetime of a loop, from opening to closing.
#[derive(Default)]
pub struct Lifetime {
    /// Every running call holds a read lock on it.
    calls: Arc<RwLock<()>>,
    /// Raised when the loop closes, so that long work and waits for candles end early.
    closing: Cancel,
}

impl Lifetime {
    /// Marks the start of a call. Closing the loop waits for its end.
    ///
    /// # Errors
    /// [`Error::Closed`] once closing has begun.
    pub fn begin(&self) -> Result<Call> {
        if self.closing.is_cancelled() {
            return Err(Error::Closed);
        }
        self.calls.clone().try_read_owned().map_err(|_| Error::Closed)
    }

    /// Starts closing: long work stops early, and later calls fail with [`Error::Closed`].
    pub fn refuse_calls(&self) {
        self.closing.cancel();
    }

    /// Waits until no call is running. New calls are refused while the guard is kept.
    pub(super) async fn no_more_calls(&self) -> OwnedRwLockWriteGuard<()> {
        self.refuse_calls();
        self.calls.clone().write_owned().await
    }

    /// Raised when the loop closes.
    pub(super) fn closing(&self) -> &Cancel {
        &self.closing
    }
}
