//! The feedback store of a loop, opened at first use.

use super::settings::Settings;
use crate::store_location::StoreLocation;
use domain::error::{Error, Result};
use feedback::{FeedbackStore, StoreOptions};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For so long after a slow attempt to open the store failed, others fail with the same error instead of trying again. An attempt
/// is slow when it took at least this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where the signals of a loop are kept, and the store itself once it is open.
pub struct SignalStore {
    settings: Arc<Settings>,
    location: StoreLocation,
    state: Mutex<StoreState>,
}

enum StoreState {
    Unopened,
    /// It could not be opened, after so long that others waited for it meanwhile.
    Failed(Instant, Error),
    Open(FeedbackStore),
    Closed,
}

impl SignalStore {
    pub(super) fn new(settings: Arc<Settings>, location: StoreLocation) -> Self {
        Self { settings, location, state: Mutex::new(StoreState::Unopened) }
    }

    /// Where the signals are kept.
    pub fn location(&self) -> &StoreLocation {
        &self.location
    }

    /// The feedback store, opened at first use.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Busy`] when it cannot be opened; [`Error::Closed`].
    pub fn open(&self) -> Result<FeedbackStore> {
        let mut state = self.state.lock();
        match &*state {
            StoreState::Open(store) => Ok(store.clone()),
            StoreState::Closed => Err(Error::Closed),
            StoreState::Failed(at, error) if at.elapsed() < RETRY_AFTER => Err(error.clone()),
            StoreState::Unopened | StoreState::Failed(..) => {
                let begun = Instant::now();
                let opened = self.location.open(StoreOptions::from(&*self.settings.config()));
                match &opened {
                    Ok(store) => *state = StoreState::Open(store.clone()),
                    // Those that queued up behind this one waited as long as it did.
                    Err(error) if begun.elapsed() >= RETRY_AFTER => {
                        *state = StoreState::Failed(Instant::now(), error.clone())
                    }
                    Err(_) => {}
                }
                opened
            }
        }
    }

    /// The store, or `None` when nothing was ever recorded here: reading is no reason to create one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn existing(&self) -> Result<Option<FeedbackStore>> {
        if self.if_open().is_none() && !self.location.may_hold_signals() {
            return Ok(None);
        }
        self.open().map(Some)
    }

    /// The store if it is open already, without opening it or waiting.
    pub(super) fn if_open(&self) -> Option<FeedbackStore> {
        self.state.try_lock().and_then(|state| match &*state {
            StoreState::Open(store) => Some(store.clone()),
            _ => None,
        })
    }

    /// Closes the store once what it has acknowledged is safe.
    pub(super) async fn close(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), StoreState::Closed);
        if let StoreState::Open(store) = before {
            store.close().await;
        }
    }
}
