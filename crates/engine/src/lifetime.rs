//! How long a loop is open: which calls are under way, and that it closes.

use domain::cancel::Cancel;
use domain::error::{Error, Result};
use std::sync::Arc;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// A call under way. Closing the loop waits until it is dropped.
pub type Call = OwnedRwLockReadGuard<()>;

/// From opening to closing a loop.
#[derive(Default)]
pub struct Lifetime {
    /// Held for reading by every call under way.
    calls: Arc<RwLock<()>>,
    /// Raised when the loop closes: long work, and waiting for candles, ends early.
    closing: Cancel,
}

impl Lifetime {
    /// Marks the beginning of a call that closing waits for.
    ///
    /// # Errors
    /// [`Error::Closed`] once closing has begun.
    pub fn begin(&self) -> Result<Call> {
        if self.closing.is_cancelled() {
            return Err(Error::Closed);
        }
        self.calls.clone().try_read_owned().map_err(|_| Error::Closed)
    }

    /// Begins to close: long work stops early, and later calls fail with [`Error::Closed`].
    pub fn refuse_calls(&self) {
        self.closing.cancel();
    }

    /// Waits until no call is under way, and refuses calls as long as the guard is kept.
    pub(super) async fn no_more_calls(&self) -> OwnedRwLockWriteGuard<()> {
        self.refuse_calls();
        self.calls.clone().write_owned().await
    }

    /// Raised when the loop closes.
    pub(super) fn closing(&self) -> &Cancel {
        &self.closing
    }
}
