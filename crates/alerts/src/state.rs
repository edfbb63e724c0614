//! What the sender remembers, for its successor and for the status: `scheduler/alerts.json`.

use domain::error::{Error, Result};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use storage::write_atomically;

/// Closed signals that are remembered. As many of the newest are looked at.
pub const KNOWN: usize = 2000;

/// The alerts of a destination, as they stand. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DestinationState {
    /// Events that it took.
    pub sent: u64,
    /// Events that wait: for a try, for the end of quiet hours, or for their turn.
    pub waiting: u64,
    /// Events that were given up: refused, a day old, or more than can wait.
    pub failed: u64,
    /// When it last took one, ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sent_at: Option<String>,
    /// The last failure, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// When that was, ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<String>,
}

/// Closed signals that were alerted, or are older than the alerts: the newest [`KNOWN`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Known(VecDeque<String>);

impl Known {
    /// What identifies a closed signal.
    pub fn mark(strategy: Option<&str>, id: &str) -> String {
        let hash = digest(&SHA256, format!("{}\n{id}", strategy.unwrap_or_default()).as_bytes());
        hash.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is among them.
    pub fn has(&self, mark: &str) -> bool {
        self.0.iter().any(|known| known == mark)
    }

    /// Adds one; the oldest makes room.
    pub fn add(&mut self, mark: String) {
        self.0.push_back(mark);
        while self.0.len() > KNOWN {
            self.0.pop_front();
        }
    }
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// By the name of the destination.
    pub destinations: BTreeMap<String, DestinationState>,
    /// `None` until closed signals were looked at for the first time.
    pub known: Option<Known>,
}

impl State {
    /// Its file in a scheduler's folder.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join("alerts.json")
    }

    /// Reads it; the default if there is none, or if it is damaged: then the counts begin anew.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn load(folder: &Path) -> Result<Self> {
        let path = Self::file(folder);
        match std::fs::read(&path) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|e| Error::Internal(e.to_string()))?;
        write_atomically(&Self::file(folder), &text)
    }
}
