//! Taking the models and the ledger of one registry into another.

use super::Registry;
use super::pool::Pool;
use super::shelf::{Next, Version};
use crate::state::State;
use domain::error::{Error, Result};
use domain::symbol::Market;
use learning::model::ledger::Entry;

/// What a copy did, market by market.
#[derive(Debug, Clone, Default)]
pub struct CopiedModels {
    /// Markets whose models, what is in service and ledger were taken over, or brought up to date.
    pub copied: Vec<Market>,
    /// Markets of which the other registry knows nothing new.
    pub known: Vec<Market>,
    /// Markets that were not taken over.
    pub refused: Vec<RefusedModels>,
}

/// A market that was not taken over.
#[derive(Debug, Clone)]
pub struct RefusedModels {
    /// Which.
    pub market: Market,
    /// Why not.
    pub reason: String,
}

/// What came of one market.
enum Taken {
    Copied,
    Known,
    Refused(String),
}

impl Registry {
    /// Takes over the models of another registry: versions, what is in service, its predecessors and the ledger, market by
    /// market, each all or not at all. A market that both know is brought up to date where one ledger goes on from the
    /// other; where both went their own ways, this registry's stays, and the report says so. A copy that was interrupted goes
    /// on when it is begun again.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Storage`]: one of them cannot be read or written; what was taken over before stays.
    pub fn copy_from(&self, other: &Self) -> Result<CopiedModels> {
        let (states, ledger) = (other.shelf.states()?, other.ledger()?);
        let mut report = CopiedModels::default();
        for (market, state) in states {
            let entries = ledger.entries.iter().filter(|entry| *entry.market() == market).cloned().collect();
            let taken = match state {
                Ok(state) => self.take_over(other, &market, state, entries)?,
                Err(error @ Error::ModelFile { .. }) => Taken::Refused(error.to_string()),
                Err(error) => return Err(error),
            };
            match taken {
                Taken::Copied => report.copied.push(market),
                Taken::Known => report.known.push(market),
                Taken::Refused(reason) => report.refused.push(RefusedModels { market, reason }),
            }
        }
        Ok(report)
    }

    fn take_over(&self, other: &Self, market: &Market, mut state: State, mut entries: Vec<Entry>) -> Result<Taken> {
        // A line that a crash kept from the ledger.
        entries.extend(state.unwritten.take().filter(|entry| !entries.contains(entry)));
        loop {
            let change = self.shelf.change(market)?;
            let own = match change.state() {
                Ok(own) => own,
                Err(error @ Error::ModelFile { .. }) => return Ok(Taken::Refused(error.to_string())),
                Err(error) => return Err(error),
            };
            let ledger = self.ledger()?.entries;
            let known: Vec<&Entry> = ledger.iter().filter(|entry| entry.market() == market).collect();
            let common = known.iter().zip(&entries).take_while(|(own, others)| **own == *others).count();
            let is_same = own.as_ref() == Some(&state);
            if common == entries.len() && (is_same || known.len() > common) {
                return Ok(Taken::Known);
            }
            // Without a ledger nothing tells that one goes on from the other.
            let follows = common == known.len() && (common > 0 || own.is_none());
            if !follows {
                let reason = "its trainings and rollbacks are others there; what is there stays".to_owned();
                return Ok(Taken::Refused(reason));
            }
            let (versions, pools) = self.versions_not_here(other, market, &state)?;
            let next = Next { versions, pools, ..Next::of(state.clone(), entries.split_off(common)) };
            let rest = next.entries.clone();
            if change.commit(next)?.is_some() {
                return Ok(Taken::Copied);
            }
            entries.extend(rest);
        }
    }

    /// The versions that a state speaks of, as far as they are there and not here, and so the pooled models that these rest on.
    fn versions_not_here(&self, other: &Self, market: &Market, state: &State) -> Result<(Vec<Version>, Vec<Pool>)> {
        let (mut versions, mut pools): (Vec<Version>, Vec<Pool>) = Default::default();
        for number in state.predecessors.iter().copied().chain(state.champion) {
            // One that is gone, or damaged, is no better elsewhere.
            let Some(bytes) = whole(other.shelf.bytes(market, number))? else { continue };
            let is_here = whole(self.shelf.bytes(market, number))?.as_ref() == Some(&bytes);
            let version = Version::of(number, bytes)?;
            if let Some(pool) = &version.pool
                && pools.iter().all(|known| known.checksum() != pool)
                && !self.shelf.has_pool(pool)?
            {
                let Some(bytes) = whole(other.shelf.pool(pool))? else { continue };
                pools.push(Pool::of(bytes));
            }
            if !is_here {
                versions.push(version);
            }
        }
        Ok((versions, pools))
    }
}

/// What is there and not damaged.
fn whole<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(Error::ModelFile { .. }) => Ok(None),
        found => found,
    }
}
