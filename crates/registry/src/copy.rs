//! Copying models and ledger from one registry to another.

use super::Registry;
use super::pool::Pool;
use super::store::{Next, Version};
use crate::state::State;
use domain::error::{Error, Result};
use domain::symbol::Market;
use learning::model::ledger::Entry;

/// The result of a copy, market by market.
#[derive(Debug, Clone, Default)]
pub struct CopiedModels {
    /// Markets that were copied or updated: models, what is in service, and ledger.
    pub copied: Vec<Market>,
    /// Markets for which the other registry has nothing new.
    pub known: Vec<Market>,
    /// Markets that were not copied.
    pub refused: Vec<RefusedModels>,
}

/// A market that was not copied.
#[derive(Debug, Clone)]
pub struct RefusedModels {
    /// The market.
    pub market: Market,
    /// The reason.
    pub reason: String,
}

/// The result for one market.
enum Taken {
    Copied,
    Known,
    Refused(String),
}

impl Registry {
    /// Copies models from another registry: versions, what is in service, its predecessors, and the ledger; each market
    /// completely or not at all. If both know a market, it is updated only if one ledger continues the other. If the ledgers
    /// diverged, this registry's stays, and the report says so. An interrupted copy continues when it is started again.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Storage`]: one of them cannot be read or written. What was copied before stays.
    pub fn copy_from(&self, other: &Self) -> Result<CopiedModels> {
        let (states, ledger) = (other.store.states()?, other.ledger()?);
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
        // A ledger line that a crash left unwritten.
        entries.extend(state.unwritten.take().filter(|entry| !entries.contains(entry)));
        loop {
            let change = self.store.change(market)?;
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
            // Without a ledger it is unknown whether one continues the other.
            let follows = common == known.len() && (common > 0 || own.is_none());
            if !follows {
                let reason = "the target has other trials and rollbacks of it; its models stay as they are".to_owned();
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

    /// The versions that a state refers to and that are there but not here, with the pooled models that they need.
    fn versions_not_here(&self, other: &Self, market: &Market, state: &State) -> Result<(Vec<Version>, Vec<Pool>)> {
        let (mut versions, mut pools): (Vec<Version>, Vec<Pool>) = Default::default();
        for number in state.predecessors.iter().copied().chain(state.champion) {
            // A missing or damaged version cannot be copied.
            let Some(bytes) = whole(other.store.bytes(market, number))? else { continue };
            let is_here = whole(self.store.bytes(market, number))?.as_ref() == Some(&bytes);
            let version = Version::of(number, bytes)?;
            if let Some(pool) = &version.pool
                && pools.iter().all(|known| known.checksum() != pool)
                && !self.store.has_pool(pool)?
            {
                let Some(bytes) = whole(other.store.pool(pool))? else { continue };
                pools.push(Pool::of(bytes));
            }
            if !is_here {
                versions.push(version);
            }
        }
        Ok((versions, pools))
    }
}

/// The value, unless it is missing or damaged.
fn whole<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(Error::ModelFile { .. }) => Ok(None),
        found => found,
    }
}
