//! What is known of the tables without asking, and how it is updated.

use super::cache::Cache;
use super::session::{Fetched, ModelLink};
use super::{Warn, unchanged};
use crate::{Failure, StoreUrl};
use domain::error::{Error, Resource};
use domain::symbol::Market;
use parking_lot::{Mutex, RwLock};
use registry::pool::Pool;
use registry::store::{Checksum, Head, Served};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The state that the tasks of the tables share.
pub(super) struct SharedModels {
    pub url: StoreUrl,
    pub patience: Duration,
    pub cache: Cache,
    /// Whether models were cached since unneeded ones were last deleted.
    pub kept: AtomicBool,
    pub warn: Warn,
    pub heads: RwLock<HashMap<Market, Slot>>,
    /// Whether the tables were checked.
    pub looked: watch::Sender<bool>,
    pub wake: Notify,
    pub ended: AtomicBool,
    /// Whether a start waited for the database without success.
    pub gave_up: AtomicBool,
    /// The current failure to check the tables; `None` after a successful check.
    pub trouble: Mutex<Option<Error>>,
    /// Whether a warning was given.
    pub warned: AtomicBool,
}

/// What is known of a market.
pub(super) struct Slot {
    pub head: Head,
    /// Whether its model is requested.
    pub wanted: AtomicBool,
}

impl SharedModels {
    pub fn head(&self, market: &Market) -> Option<Head> {
        self.heads.read().get(market).map(|slot| slot.head)
    }

    /// What is known of a market whose model is requested.
    pub fn wanted(&self, market: &Market) -> Option<Head> {
        let heads = self.heads.read();
        let slot = heads.get(market)?;
        slot.wanted.store(true, Ordering::Relaxed);
        Some(slot.head)
    }

    pub fn publish(&self, market: &Market, head: Head) {
        let mut heads = self.heads.write();
        match heads.get_mut(market) {
            Some(slot) => slot.head = head,
            None => _ = heads.insert(market.clone(), Slot { head, wanted: AtomicBool::new(false) }),
        }
    }

    /// Whether the market's model is requested, and another one is in service now.
    fn wanted_anew(&self, market: &Market, head: &Head) -> bool {
        let heads = self.heads.read();
        heads.get(market).is_some_and(|slot| slot.wanted.load(Ordering::Relaxed) && slot.head.served != head.served)
    }

    pub fn has_looked(&self) -> bool {
        *self.looked.borrow()
    }

    pub fn trouble(&self, error: &Error) {
        *self.trouble.lock() = Some(error.clone());
    }

    /// The error for a caller that waited without success.
    pub fn in_vain(&self) -> Error {
        let trouble = self.trouble.lock().clone();
        let busy = || Error::storage(Resource::ModelRegistry, format!("{} is busy with earlier calls", self.url));
        trouble.unwrap_or_else(busy).noting(unchanged())
    }

    /// Caches the model in service.
    pub fn keep(&self, market: &Market, version: u64, bytes: &[u8], pool: Option<Checksum>) {
        self.kept.store(true, Ordering::Relaxed);
        if let Err(error) = self.cache.keep(market, version, bytes, pool) {
            (self.warn)(format!("the model of {market} will have to be fetched again: {error}"));
        }
    }

    /// Caches a pooled model.
    pub fn keep_pool(&self, pool: &Pool) {
        self.kept.store(true, Ordering::Relaxed);
        if let Err(error) = self.cache.keep_pool(pool) {
            (self.warn)(format!("a pooled model will have to be fetched again: {error}"));
        }
    }

    /// Whether a model in service needs a pooled model.
    pub fn serves(&self, pool: &Checksum) -> bool {
        self.heads.read().values().any(|slot| slot.head.served.is_some_and(|served| served.pool == Some(*pool)))
    }

    /// Checks what is in service. Requested models are fetched before they are reported. If a model needs a pooled model that is
    /// not here, it is reported once fetching that was `tried`; such pooled models are returned.
    pub async fn look(
        &self,
        open: &ModelLink,
        tried: &HashSet<Checksum>,
    ) -> std::result::Result<HashSet<Checksum>, Failure> {
        let heads = open.heads().await?;
        let (mut here, mut lacking) = (tried.clone(), HashSet::new());
        for (market, head) in &heads {
            if let Some(Served { version, checksum: Some(expected), pool }) = head.served
                && self.wanted_anew(market, head)
            {
                if let Some(pool) = pool.filter(|pool| !here.contains(pool)) {
                    if !self.cache.has_pool(&pool) {
                        lacking.insert(pool);
                        continue;
                    }
                    here.insert(pool);
                }
                if self.cache.bytes(market, version, expected).is_none()
                    && let Some(Fetched::Sound(bytes)) = open.bytes(market, version).await?
                {
                    self.keep(market, version, &bytes, pool);
                }
            }
            self.publish(market, *head);
        }
        self.heads.write().retain(|market, _| heads.contains_key(market));
        *self.trouble.lock() = None;
        self.looked.send_replace(true);
        if lacking.is_empty() && self.kept.swap(false, Ordering::Relaxed) {
            self.cache.purge_pools();
        }
        Ok(lacking)
    }
}
