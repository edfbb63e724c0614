//! `champion.json`: which model of a market is in service, and why. Small, and replaced whole.

use domain::error::{Error, Result};
use learning::model::ledger::Entry;
use serde::{Deserialize, Serialize};
use std::path::Path;
use storage::write_atomically;

/// The champions before it that a champion can be rolled back to step by step.
const PREDECESSORS: usize = 4;
/// Besides them one older is kept, for when live results speak against all of those: until it is so many trials older than the
/// next.
const ELDER: u64 = 32;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The version in service; 0 is `champion.model`, the file of the format that had no versions.
    pub champion: Option<u64>,
    /// Since when, UTC epoch ms.
    pub since_ms: i64,
    /// Why, in words.
    pub reason: String,
    /// The champions before it that can be rolled back to, oldest first.
    pub predecessors: Vec<u64>,
    /// From when on live outcomes are weighed, UTC epoch ms: since the last rollback, or the last promotion without a
    /// comparison with the champion. Missing where the signalloop that wrote this knew of no such thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighed_since_ms: Option<i64>,
    /// The number of the next trial.
    pub next: u64,
    /// Trials so far.
    pub trials: u64,
    /// The ledger's line of the last change until it is known to be in the ledger: writing this file is what makes a change
    /// happen, and the line is written after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwritten: Option<Entry>,
}

impl State {
    /// Reads the file; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::ModelFile`] when it cannot be understood.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", path, e)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .or_else(|e| learning::model::file::refuse(path, format!("it is damaged ({e})")))
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Internal(format!("cannot encode which model is in service: {e}")))?;
        write_atomically(path, &text)
    }

    /// From when on live outcomes are weighed.
    pub fn weighed_since_ms(&self) -> i64 {
        self.weighed_since_ms.unwrap_or(self.since_ms)
    }

    /// Puts `version` into service; the champion so far becomes its predecessor. What live outcomes say goes on counting if
    /// the two were compared.
    pub fn promote(&mut self, version: u64, at_ms: i64, reason: &str, compared: bool) {
        self.weighed_since_ms = Some(if compared { self.weighed_since_ms() } else { at_ms });
        self.predecessors.extend(self.champion);
        while self.predecessors.len() > PREDECESSORS + 1 {
            let is_old = self.predecessors[1].saturating_sub(self.predecessors[0]) >= ELDER;
            self.predecessors.remove(usize::from(!is_old));
        }
        self.champion = Some(version);
        (self.since_ms, self.reason) = (at_ms, reason.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn besides_the_newest_predecessors_one_is_kept_that_is_older() {
        let mut state = State::default();
        let ages: Vec<u64> = (1..=200)
            .map(|version| {
                state.promote(version, 0, "", true);
                let newest: Vec<u64> = (version.saturating_sub(4).max(1)..version).collect();
                assert!(state.predecessors.ends_with(&newest) && state.predecessors.len() <= 5, "{state:?}");
                version - state.predecessors.first().unwrap_or(&version)
            })
            .collect();
        assert!(ages[4..].iter().all(|age| (4..=36).contains(age)), "{ages:?}");
        assert!(ages[8..].iter().filter(|age| **age >= 12).count() > 100, "{ages:?}");
    }
}
