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

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.names()[0]
    }

    /// All its names: the one of today, then those of the system before.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Watch => &["watch"],
            Self::Fetch => &["fetch", "fetch_data"],
            Self::Retrain => &["retrain", "retrain_full", "full_retrain"],
            Self::Update => &["update", "incremental_update"],
            Self::Evaluate => &["evaluate", "evaluate_performance", "performance_evaluation"],
        }
    }

    /// The task of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.names().contains(&name))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
