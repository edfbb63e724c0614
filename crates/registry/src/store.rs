//! The port between the registry's rules and where models are kept: files of a home, or tables of a database.

use super::pool::{Pool, of_version};
use crate::state::State;
use domain::answer::Answer;
use domain::error::{Error, Result};
use domain::symbol::Market;
use learning::model::ledger::{Entry, Ledger};
use std::path::PathBuf;
use storage::Stamp;
use storage::fence::Fence;

/// The newest versions are always kept. Others are deleted, unless they are the champion or one of its predecessors.
const NEWEST_KEPT: usize = 3;

/// SHA-256 of the bytes of a version, or of a pooled model.
pub type Checksum = [u8; 32];

/// A stamp that changes with a market's state, and so with every change of the model in service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum VersionStamp {
    /// The stamp of the file with the state.
    File(Stamp),
    /// The database row with the state.
    Row(Head),
}

/// What a database stores for a market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    /// Identifies its last change.
    pub batch: i64,
    /// The model in service; `None` if there is none.
    pub served: Option<Served>,
}

/// A model in service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// Its version.
    pub version: u64,
    /// The checksum of its bytes, if known before they are read.
    pub checksum: Option<Checksum>,
    /// The pooled model that it needs, if it needs one and this is known before it is read.
    pub pool: Option<Checksum>,
}

/// The answer of [`ModelStore::stamp`]: known at once, or by a call that waits for another machine.
pub type StampAnswer<'a> = Answer<Result<Option<VersionStamp>>, Box<dyn FnOnce() -> Result<Option<VersionStamp>> + 'a>>;

/// A store of models.
pub trait ModelStore: Send + Sync {
    /// The stamp of a market; `None` if it has no model. Called for every prediction; once known, it is answered without waiting.
    fn stamp<'a>(&'a self, market: &'a Market) -> StampAnswer<'a>;

    /// Makes stamps reflect all changes so far, by any process.
    fn refresh(&self) -> Result<()>;

    /// The model in service when a stamp was made, or a newer one.
    fn served(&self, market: &Market, stamp: &VersionStamp) -> Result<Option<Served>>;

    /// Where a version is, or the state without one; for people.
    fn path(&self, market: &Market, version: Option<u64>) -> PathBuf;

    /// A version as the bytes of its file; `None` if it does not exist.
    fn bytes(&self, market: &Market, version: u64) -> Result<Option<Vec<u8>>>;

    /// A pooled model, with a valid checksum; `None` if it does not exist.
    fn pool(&self, checksum: &Checksum) -> Result<Option<Vec<u8>>>;

    /// Whether an undamaged pooled model exists.
    fn has_pool(&self, checksum: &Checksum) -> Result<bool>;

    /// Where a pooled model is; for people.
    fn pool_path(&self, checksum: &Checksum) -> PathBuf;

    /// A market's state; `None` if there is none.
    fn state(&self, market: &Market) -> Result<Option<State>>;

    /// Every market that has a state, by name.
    fn states(&self) -> Result<Vec<(Market, Result<State>)>>;

    /// Every trial and rollback.
    fn ledger(&self) -> Result<Ledger>;

    /// Begins a change of a market.
    fn change<'a>(&'a self, market: &Market) -> Result<Box<dyn Change + 'a>>;

    /// Changes whenever any of this may have changed.
    fn revision(&self) -> u64;

    /// Why models may be outdated.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Ends background work.
    fn close(&self) {}
}

/// A change in progress.
pub trait Change {
    /// The state to change; `None` if there is none.
    fn state(&self) -> Result<Option<State>>;

    /// The existing versions, oldest first.
    fn versions(&self) -> Result<Vec<u64>>;

    /// Makes the change effective, durably and as a whole. `None`, without any change, if another process was faster.
    fn commit(self: Box<Self>, next: Next) -> Result<Option<VersionStamp>>;
}

/// The result of a change of a market.
pub struct Next {
    /// The new state: which model is in service, and why.
    pub state: State,
    /// New versions.
    pub versions: Vec<Version>,
    /// The pooled models that they need, except for existing ones, which are not written again.
    pub pools: Vec<Pool>,
    /// Lines for the ledger, usually one.
    pub entries: Vec<Entry>,
    /// Lease required for this change; `None` if anybody may make it.
    pub fence: Option<Fence>,
}

/// A new version.
pub struct Version {
    /// Its number, counted from 1 in each market.
    pub number: u64,
    /// The content of its file.
    pub bytes: Vec<u8>,
    /// The pooled model that it needs, as its file says.
    pub pool: Option<Checksum>,
}

impl Version {
    /// The version with these bytes.
    ///
    /// # Errors
    /// [`Error::ModelFile`] if they are not a model.
    pub fn of(number: u64, bytes: Vec<u8>) -> Result<Self> {
        let pool = of_version(&bytes[..])
            .map_err(|e| Error::Internal(format!("the pooled model of version {number} is unknown: {e}")))?;
        Ok(Self { number, bytes, pool })
    }
}

impl Next {
    /// A change of the state only, which anybody may make.
    pub fn of(state: State, entries: Vec<Entry>) -> Self {
        Self { state, versions: Vec::new(), pools: Vec::new(), entries, fence: None }
    }

    /// Whether it contains a pooled model.
    pub fn brings(&self, checksum: &Checksum) -> bool {
        self.pools.iter().any(|pool| pool.checksum() == checksum)
    }
}

/// Those of the existing versions that are no longer needed, oldest first.
pub fn superfluous(state: &State, versions: &[u64]) -> Vec<u64> {
    let older = &versions[..versions.len().saturating_sub(NEWEST_KEPT)];
    let unwanted = |version: &&u64| state.champion != Some(**version) && !state.predecessors.contains(version);
    older.iter().filter(unwanted).copied().collect()
}
