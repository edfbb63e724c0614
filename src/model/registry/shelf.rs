//! The seam between the registry's rules and where it keeps what they decide: files of a home, or tables of a database.

use super::super::ledger::{Entry, Ledger};
use super::super::state::State;
use crate::database::Fence;
use crate::error::Result;
use crate::files::Stamp;
use crate::symbol::Market;
use std::path::PathBuf;

/// The newest versions are kept whatever they are; others go unless they are the champion or one of its predecessors.
const NEWEST_KEPT: usize = 3;

/// SHA-256 of a version's bytes.
pub(super) type Checksum = [u8; 32];

/// What tells that something of a market has changed: another mark, maybe another model in service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mark {
    /// Of the file that says what is in service.
    File(Stamp),
    /// Of the row that does.
    #[cfg(feature = "postgres")]
    Row(Head),
}

/// What a database says of a market.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    /// Of its last change.
    pub batch: i64,
    /// What is in service; `None` when nothing is.
    pub served: Option<Served>,
}

/// A model in service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Served {
    pub version: u64,
    /// Of its bytes, where that is known before they are read.
    pub checksum: Option<Checksum>,
}

/// Where models are kept.
pub(super) trait Shelf: Send + Sync {
    /// The mark of a market; `None` where there is no model. Asked at every prediction: once known, it costs nobody's answer.
    fn mark(&self, market: &Market) -> Result<Option<Mark>>;

    /// [`Self::mark`] if it is known without waiting.
    fn mark_at_once(&self, market: &Market) -> Option<Mark>;

    /// Has marks stand for what is so now, whoever changed it.
    fn refresh(&self) -> Result<()>;

    /// What was in service when a mark was made, or is by now.
    fn served(&self, market: &Market, mark: &Mark) -> Result<Option<Served>>;

    /// Where a version is, or what says which is in service, for people.
    fn path(&self, market: &Market, version: Option<u64>) -> PathBuf;

    /// A version as the bytes of its file; `None` when it is not there.
    fn bytes(&self, market: &Market, version: u64) -> Result<Option<Vec<u8>>>;

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
pub(super) trait Change {
    /// What it changes; `None` where there was nothing.
    fn state(&self) -> Result<Option<State>>;

    /// The versions that are there, oldest first.
    fn versions(&self) -> Result<Vec<u64>>;

    /// Makes it happen, all of it or nothing, durably. `None`, and nothing happens, when somebody else came between.
    fn commit(self: Box<Self>, next: Next) -> Result<Option<Mark>>;
}

/// What a change makes of a market.
pub(super) struct Next {
    /// Which model is in service now, and why.
    pub state: State,
    /// New versions.
    pub versions: Vec<(u64, Vec<u8>)>,
    /// What the ledger is to say of it; usually one line.
    pub entries: Vec<Entry>,
    /// Who may do this, where it is not everybody.
    pub fence: Option<Fence>,
}

/// The versions that nobody will ask for, of those that are there, oldest first.
pub(super) fn superfluous(state: &State, versions: &[u64]) -> Vec<u64> {
    let older = &versions[..versions.len().saturating_sub(NEWEST_KEPT)];
    let unwanted = |version: &&u64| state.champion != Some(**version) && !state.predecessors.contains(version);
    older.iter().filter(unwanted).copied().collect()
}
