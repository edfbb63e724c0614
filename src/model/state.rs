//! `champion.json`: which model of a market is in service, and why. Small, and replaced whole.

use super::ledger::Entry;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Predecessors that a champion can be rolled back to.
pub(super) const PREDECESSORS: usize = 4;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The version in service; 0 is `champion.model`, the file of the format that had no versions.
    pub champion: Option<u64>,
    /// Since when, UTC epoch ms.
    pub since_ms: i64,
    /// Why, in words.
    pub reason: String,
    /// The champions before it that can be rolled back to, oldest first.
    pub predecessors: Vec<u64>,
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
        serde_json::from_slice(&bytes).map(Some).or_else(|e| super::file::refuse(path, format!("it is damaged ({e})")))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Internal(format!("cannot encode which model is in service: {e}")))?;
        write_atomically(path, &text)
    }

    /// Puts `version` into service; the champion so far becomes its predecessor.
    pub fn promote(&mut self, version: u64, at_ms: i64, reason: &str) {
        self.predecessors.extend(self.champion);
        let over = self.predecessors.len().saturating_sub(PREDECESSORS);
        self.predecessors.drain(..over);
        self.champion = Some(version);
        (self.since_ms, self.reason) = (at_ms, reason.to_owned());
    }
}
