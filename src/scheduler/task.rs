//! What there is to run.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A task of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Closes open signals by the prices of now and the candles missed.
    Watch,
    /// Brings the candles of all markets up to date.
    Fetch,
    /// Trains all models from nothing.
    Retrain,
    /// Continues all models with what came since.
    Update,
    /// Judges live results, and compares each market's recent signals with its early ones.
    Evaluate,
}

impl Task {
    /// All of them, in the order in which those that are due together run.
    pub const ALL: [Self; 5] = [Self::Watch, Self::Fetch, Self::Retrain, Self::Update, Self::Evaluate];

    /// Its name, as in `scheduler_config.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Fetch => "fetch",
            Self::Retrain => "retrain",
            Self::Update => "update",
            Self::Evaluate => "evaluate",
        }
    }

    /// The task of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.as_str() == name)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
