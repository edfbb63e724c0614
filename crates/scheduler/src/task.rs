//! The tasks of the scheduler.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A task of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Closes open signals by current prices and missed candles.
    Watch,
    /// Updates the candles of all markets.
    Fetch,
    /// Trains all models from scratch.
    Retrain,
    /// Continues training all models with new candles.
    Update,
    /// Judges live results, and compares each market's recent signals with its earlier ones.
    Evaluate,
}

impl Task {
    /// All tasks, in the order in which they run if due together.
    pub const ALL: [Self; 5] = [Self::Watch, Self::Fetch, Self::Retrain, Self::Update, Self::Evaluate];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.names()[0]
    }

    /// All names: the current one, then those of the former system.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Watch => &["watch"],
            Self::Fetch => &["fetch", "fetch_data"],
            Self::Retrain => &["retrain", "retrain_full", "full_retrain"],
            Self::Update => &["update", "incremental_update"],
            Self::Evaluate => &["evaluate", "evaluate_performance", "performance_evaluation"],
        }
    }

    /// The task with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.names().contains(&name))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
