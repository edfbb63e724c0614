//! What is known of the tables without asking, and how it is brought up to date.

use super::cache::Cache;
use super::session::{Fetched, Open};
use super::{Warn, unchanged};
use crate::{Failure, StoreUrl};
use domain::error::{Error, Resource};
use domain::symbol::Market;
use parking_lot::{Mutex, RwLock};
use registry::pool::Pool;
use registry::shelf::{Checksum, Head, Served};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// What the tasks of a table share.
pub(super) struct Shared {
    pub url: StoreUrl,
    pub patience: Duration,
    pub cache: Cache,
    /// Something was put into the cache since what is not needed there was deleted.
    pub kept: AtomicBool,
    pub warn: Warn,
    pub heads: RwLock<HashMap<Market, Slot>>,
    /// The tables were looked at.
    pub looked: watch::Sender<bool>,
    pub wake: Notify,
    pub ended: AtomicBool,
    /// A start waited for the database in vain.
    pub gave_up: AtomicBool,
    /// What keeps us from the tables, until they were looked at again.
    pub trouble: Mutex<Option<Error>>,
    /// Somebody was told of it.
    pub warned: AtomicBool,
}

/// What is known of a market.
pub(super) struct Slot {
    pub head: Head,
    /// Somebody asks for its model.
    pub wanted: AtomicBool,
}

impl Shared {
    pub fn head(&self, market: &Market) -> Option<Head> {
        self.heads.read().get(market).map(|slot| slot.head)
    }

    /// What is known of a market whose model somebody asks for.
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

    /// Of these markets the model in service is asked for, and was another.
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

    /// What a caller hears that waited in vain.
    pub fn in_vain(&self) -> Error {
        let trouble = self.trouble.lock().clone();
        let busy = || Error::storage(Resource::ModelRegistry, format!("{} is busy with earlier calls", self.url));
        trouble.unwrap_or_else(busy).noting(unchanged())
    }

    /// Keeps the model in service as a file.
    pub fn keep(&self, market: &Market, version: u64, bytes: &[u8], pool: Option<Checksum>) {
        self.kept.store(true, Ordering::Relaxed);
        if let Err(error) = self.cache.keep(market, version, bytes, pool) {
            (self.warn)(format!("the model of {market} will have to be fetched again: {error}"));
        }
    }

    /// Keeps a pooled model as a file.
    pub fn keep_pool(&self, pool: &Pool) {
        self.kept.store(true, Ordering::Relaxed);
        if let Err(error) = self.cache.keep_pool(pool) {
            (self.warn)(format!("a pooled model will have to be fetched again: {error}"));
        }
    }

    /// Whether a model in service rests on a pooled model.
    pub fn serves(&self, pool: &Checksum) -> bool {
        self.heads.read().values().any(|slot| slot.head.served.is_some_and(|served| served.pool == Some(*pool)))
    }

    /// Looks at what is in service; fetches what is asked for before it is told of. What rests on a pooled model that is not here
    /// yet is told of once that was `tried`; such pooled models come back.
    pub async fn look(
        &self,
        open: &Open,
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
