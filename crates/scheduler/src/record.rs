//! The stored state of a task: one small file each, replaced whole.

use super::Task;
use domain::error::{Error, Result};
use domain::symbol::Market;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use storage::write_atomically;

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Due times up to here are done, UTC epoch ms: when the last run began.
    pub since_ms: Option<i64>,
    /// Attempts so far of a run that has neither succeeded nor been given up; 0 if there is none.
    pub attempt: u32,
    /// The markets for the next attempt; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remaining: Vec<Market>,
    /// The last finished attempt.
    pub last: Option<LastRun>,
}

/// A finished attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// UTC epoch ms.
    pub started_ms: i64,
    /// UTC epoch ms.
    pub ended_ms: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// The number of the attempt within its run, from 1.
    pub attempt: u32,
    /// Number of markets, or of closed signals, that it handled.
    pub done: usize,
    /// The result in words.
    pub message: String,
    /// Failures by market; other markets went on.
    pub failed: Vec<Unfinished>,
    /// Why it failed as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Cause>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything was done, except for symbols that no longer trade.
    Finished,
    /// Some or all of it failed.
    Failed,
    /// The scheduler stopped meanwhile.
    Cancelled,
}

/// A market that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The market.
    #[serde(flatten)]
    pub market: Market,
    /// The error.
    #[serde(flatten)]
    pub cause: Cause,
    /// The symbol no longer trades. It is skipped until it is removed, and does not make the run fail.
    #[serde(rename = "notTraded", default, skip_serializing_if = "std::ops::Not::not")]
    pub not_traded: bool,
}

/// A stored error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// `ERR_…`
    pub code: String,
    /// In words.
    pub message: String,
}

impl From<&Error> for Cause {
    fn from(error: &Error) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string() }
    }
}

impl Record {
    /// Loads the record of `task` from the scheduler's folder; empty if the task has never run.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read or is damaged. It may be deleted then; the task counts as never run.
    pub fn load(folder: &Path, task: Task) -> Result<Self> {
        let path = path(folder, task);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        serde_json::from_slice(&text)
            .map_err(|e| format!("it is damaged ({e}); delete it to begin anew"))
            .map_err(|damage| Error::io("read", &path, std::io::Error::other(damage)))
    }

    /// Stores the record.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, folder: &Path, task: Task) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Internal(format!("cannot encode the record of {task}: {e}")))?;
        write_atomically(&path(folder, task), &text)
    }
}

fn path(folder: &Path, task: Task) -> PathBuf {
    folder.join(format!("{task}.json"))
}
