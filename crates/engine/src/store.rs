//! The feedback store of a loop, opened at first use.

use super::events::{Event, Events};
use super::settings::Settings;
use crate::store_location::StoreLocation;
use domain::error::{Error, Result};
use feedback::{FeedbackStore, StoreOptions};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After a slow attempt to open the store has failed, other attempts fail with the same error for this long instead of
/// trying again. An attempt counts as slow if it took at least this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where the signals of a loop are stored, and the store itself once it is open.
pub struct SignalStore {
    settings: Arc<Settings>,
    events: Arc<Events>,
    location: StoreLocation,
    state: Mutex<StoreState>,
}

enum StoreState {
    Unopened,
    /// The store could not be opened, and the attempt took so long that other callers were waiting for it.
    Failed(Instant, Error),
    Open(FeedbackStore),
    Closed,
}

impl SignalStore {
    pub(super) fn new(settings: Arc<Settings>, events: Arc<Events>, location: StoreLocation) -> Self {
        Self { settings, events, location, state: Mutex::new(StoreState::Unopened) }
    }

    /// Where the signals are stored.
    pub fn location(&self) -> &StoreLocation {
        &self.location
    }

    /// The feedback store, opened at first use.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Busy`] if it cannot be opened; [`Error::Closed`].
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
                    Ok(store) => {
                        let events = self.events.clone();
                        store.on_change(Box::new(move |changed| events.emit(&Event::SignalChanged(changed))));
                        *state = StoreState::Open(store.clone());
                    }
                    // Callers that queued up behind this attempt have already waited as long as it took.
                    Err(error) if begun.elapsed() >= RETRY_AFTER => {
                        *state = StoreState::Failed(Instant::now(), error.clone())
                    }
                    Err(_) => {}
                }
                opened
            }
        }
    }

    /// The store, or `None` if nothing was ever recorded here. Reading alone does not create a store.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn existing(&self) -> Result<Option<FeedbackStore>> {
        if self.if_open().is_none() && !self.location.may_hold_signals() {
            return Ok(None);
        }
        self.open().map(Some)
    }

    /// The store if it is already open. Does not open it and never waits.
    pub(super) fn if_open(&self) -> Option<FeedbackStore> {
        self.state.try_lock().and_then(|state| match &*state {
            StoreState::Open(store) => Some(store.clone()),
            _ => None,
        })
    }

    /// Closes the store after everything it acknowledged is safely stored.
    pub(super) async fn close(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), StoreState::Closed);
        if let StoreState::Open(store) = before {
            store.close().await;
        }
    }
}
