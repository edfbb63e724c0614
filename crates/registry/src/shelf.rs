//! The seam between the registry's rules and where it keeps what they decide: files of a home, or tables of a database.

use super::pool::{Pool, of_version};
use crate::state::State;
use domain::answer::Answer;
use domain::error::{Error, Result};
use domain::symbol::Market;
use learning::model::ledger::{Entry, Ledger};
use std::path::PathBuf;
use storage::Stamp;
use storage::fence::Fence;

/// The newest versions are kept whatever they are; others go unless they are the champion or one of its predecessors.
const NEWEST_KEPT: usize = 3;

/// SHA-256 of the bytes of a version, or of a pooled model.
pub type Checksum = [u8; 32];

/// What tells that something of a market has changed: another mark, maybe another model in service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mark {
    /// Of the file that says what is in service.
    File(Stamp),
    /// Of the row that does.
    Row(Head),
}

/// What a database says of a market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    /// Of its last change.
    pub batch: i64,
    /// What is in service; `None` when nothing is.
    pub served: Option<Served>,
}

/// A model in service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// Its number.
    pub version: u64,
    /// Of its bytes, where that is known before they are read.
    pub checksum: Option<Checksum>,
    /// What it rests on, where it rests on something and that is known before it is read.
    pub pool: Option<Checksum>,
}

/// A mark, or what finds it.
pub type MarkAnswer<'a> = Answer<Result<Option<Mark>>, Box<dyn FnOnce() -> Result<Option<Mark>> + 'a>>;

/// Where models are kept.
pub trait Shelf: Send + Sync {
    /// The mark of a market; `None` where there is no model. Asked at every prediction, so it must be known without waiting once
    /// anybody has asked for it.
    fn mark<'a>(&'a self, market: &'a Market) -> MarkAnswer<'a>;

    /// Has marks stand for what is so now, whoever changed it.
    fn refresh(&self) -> Result<()>;

    /// What was in service when a mark was made, or is by now.
    fn served(&self, market: &Market, mark: &Mark) -> Result<Option<Served>>;

    /// Where a version is, or what says which is in service, for people.
    fn path(&self, market: &Market, version: Option<u64>) -> PathBuf;

    /// A version as the bytes of its file; `None` when it is not there.
    fn bytes(&self, market: &Market, version: u64) -> Result<Option<Vec<u8>>>;

    /// A pooled model, which has its checksum; `None` when it is not there.
    fn pool(&self, checksum: &Checksum) -> Result<Option<Vec<u8>>>;

    /// Whether a pooled model is there, whole.
    fn has_pool(&self, checksum: &Checksum) -> Result<bool>;

    /// Where a pooled model is, for people.
    fn pool_path(&self, checksum: &Checksum) -> PathBuf;

    /// What a market's state says; `None` where there is none.
    fn state(&self, market: &Market) -> Result<Option<State>>;

    /// Every market that has a state, by name.
    fn states(&self) -> Result<Vec<(Market, Result<State>)>>;

    /// Every trial and rollback.
    fn ledger(&self) -> Result<Ledger>;

    /// Begins a change of a market.
    fn change<'a>(&'a self, market: &Market) -> Result<Box<dyn Change + 'a>>;

    /// Something of all this may have changed since this was another number.
    fn revision(&self) -> u64;

    /// What keeps models from being up to date.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Ends what goes on in the background.
    fn close(&self) {}
}

/// A change under way.
pub trait Change {
    /// What it changes; `None` where there was nothing.
    fn state(&self) -> Result<Option<State>>;

    /// The versions that are there, oldest first.
    fn versions(&self) -> Result<Vec<u64>>;

    /// Makes it happen, all of it or nothing, durably. `None`, and nothing happens, when somebody else came between.
    fn commit(self: Box<Self>, next: Next) -> Result<Option<Mark>>;
}

/// What a change makes of a market.
pub struct Next {
    /// Which model is in service now, and why.
    pub state: State,
    /// New versions.
    pub versions: Vec<Version>,
    /// The pooled models that they rest on, but for those that are there. One that is there is not written again.
    pub pools: Vec<Pool>,
    /// What the ledger is to say of it; usually one line.
    pub entries: Vec<Entry>,
    /// Who may do this, where it is not everybody.
    pub fence: Option<Fence>,
}

/// A new version.
pub struct Version {
    /// Its number, counted from 1 in each market.
    pub number: u64,
    /// As its file.
    pub bytes: Vec<u8>,
    /// The pooled model that it rests on, as its file says.
    pub pool: Option<Checksum>,
}

impl Version {
    /// The version with these bytes.
    ///
    /// # Errors
    /// [`Error::ModelFile`] when they are no model.
    pub fn of(number: u64, bytes: Vec<u8>) -> Result<Self> {
        let pool = of_version(&bytes[..])
            .map_err(|e| Error::Internal(format!("what version {number} rests on cannot be told: {e}")))?;
        Ok(Self { number, bytes, pool })
    }
}

impl Next {
    /// A change of the state alone, by everybody.
    pub fn of(state: State, entries: Vec<Entry>) -> Self {
        Self { state, versions: Vec::new(), pools: Vec::new(), entries, fence: None }
    }

    /// Whether it brings a pooled model along.
    pub fn brings(&self, checksum: &Checksum) -> bool {
        self.pools.iter().any(|pool| pool.checksum() == checksum)
    }
}

/// The versions that nobody will ask for, of those that are there, oldest first.
pub fn superfluous(state: &State, versions: &[u64]) -> Vec<u64> {
    let older = &versions[..versions.len().saturating_sub(NEWEST_KEPT)];
    let unwanted = |version: &&u64| state.champion != Some(**version) && !state.predecessors.contains(version);
    older.iter().filter(unwanted).copied().collect()
}
