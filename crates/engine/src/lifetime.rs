//! The lifetime of a loop: which calls are running, and whether the loop is closing.

use domain::cancel::Cancel;
use domain::error::{Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch};

/// A running call. Closing the loop waits until this is dropped.
pub type Call = OwnedRwLockReadGuard<()>;

/// The lifetime of a loop, from opening to closing.
#[derive(Default)]
pub struct Lifetime {
    /// Every running call holds a read lock on it.
    calls: Arc<RwLock<()>>,
    /// Raised when the loop closes, so that long work and waits for candles end early.
    closing: Cancel,
    /// How much work is running in the background.
    background: watch::Sender<usize>,
}

/// Work in the background, until it is dropped.
struct Background(Arc<Lifetime>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.background.send_modify(|running| *running -= 1);
    }
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

    /// Runs work in the background, for [`Self::quiet`] to wait for.
    pub(super) fn in_background(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        self.background.send_modify(|running| *running += 1);
        let running = Background(self.clone());
        tokio::spawn(async move {
            work.await;
            drop(running);
        });
    }

    /// Waits for some time.
    ///
    /// # Errors
    /// [`Error::Cancelled`] at once if the loop is closing.
    pub(super) async fn wait(&self, time: Duration) -> Result<()> {
        let wait = async {
            tokio::time::sleep(time).await;
            Ok(())
        };
        self.closing.unless(wait).await
    }

    /// Waits until no work is running in the background.
    pub(super) async fn quiet(&self) {
        // The sender is part of `self`, so it cannot be gone.
        let _ = self.background.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Raised when the loop closes.
    pub(super) fn closing(&self) -> &Cancel {
        &self.closing
    }
}
