//! What is remembered of a task from process to process: one small file each, replaced whole.

use super::Task;
use domain::error::{Error, Result};
use domain::symbol::Market;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use storage::write_atomically;

/// What is known of a task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Due times up to here are dealt with, UTC epoch ms: when its last run began.
    pub since_ms: Option<i64>,
    /// Attempts begun of a run that has not succeeded and is not given up; 0 when there is none.
    pub attempt: u32,
    /// What the next attempt has to do; empty is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remaining: Vec<Market>,
    /// The last attempt that ended.
    pub last: Option<LastRun>,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// UTC epoch ms.
    pub started_ms: i64,
    /// UTC epoch ms.
    pub ended_ms: i64,
    /// How.
    pub outcome: Outcome,
    /// Which attempt of its run it was, from 1.
    pub attempt: u32,
    /// Markets, or signals closed, that it dealt with.
    pub done: usize,
    /// What it came to, in words.
    pub message: String,
    /// What did not work, market by market; the others went on.
    pub failed: Vec<Unfinished>,
    /// Why the whole of it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Cause>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All of it was done, but for symbols that are not traded any more.
    Finished,
    /// Some or all of it failed.
    Failed,
    /// The scheduler was stopped meanwhile.
    Cancelled,
}

/// A market that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Which.
    #[serde(flatten)]
    pub market: Market,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
    /// Its symbol is not traded any more: it is left out until it is removed, and the run does not fail for it.
    #[serde(rename = "notTraded", default, skip_serializing_if = "std::ops::Not::not")]
    pub not_traded: bool,
}

/// An error, as it is written down.
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
    /// The record of `task` in the scheduler's folder; a task without one has never run.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, or is damaged: it may be deleted then, and the task counts as never run.
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

    /// Writes it down.
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
