//! `champion.json`: which model of a market is in service, and why. A small file, replaced atomically.

use domain::error::{Error, Result};
use learning::model::ledger::Entry;
use serde::{Deserialize, Serialize};
use std::path::Path;
use storage::write_atomically;

/// How many predecessors of a champion are kept to roll back to, step by step.
const PREDECESSORS: usize = 4;
/// One older predecessor is kept besides, in case live results reject all of those. It is replaced once it is this many trials
/// older than the next.
const ELDER: u64 = 32;

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The version in service; 0 is `champion.model`, the file of the former format without versions.
    pub champion: Option<u64>,
    /// Since when it has been in service, UTC epoch ms.
    pub since_ms: i64,
    /// Why, in words.
    pub reason: String,
    /// Earlier champions that can be rolled back to, oldest first.
    pub predecessors: Vec<u64>,
    /// From when live results count, UTC epoch ms: since the last rollback, or since the last promotion without a comparison with
    /// the champion. Missing in files of versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighed_since_ms: Option<i64>,
    /// The number of the next trial.
    pub next: u64,
    /// Trials so far.
    pub trials: u64,
    /// The ledger line of the last change, until it is known to be in the ledger. Writing this file makes a change effective, and
    /// the line is written after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwritten: Option<Entry>,
}

impl State {
    /// Reads the file; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::ModelFile`] if it is damaged.
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

    /// From when live results count.
    pub fn weighed_since_ms(&self) -> i64 {
        self.weighed_since_ms.unwrap_or(self.since_ms)
    }

    /// Promotes `version`; the current champion becomes its predecessor. Live results continue to count if the two were
    /// `compared`.
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
