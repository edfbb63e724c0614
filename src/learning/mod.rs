//! Learning: labels, weights, folds, training, the gate between a new model and service, the decision that a model's
//! probabilities lead to, what outcomes teach, and what live results say: poor performance, improvement, drift.

mod dataset;
mod decide;
pub mod drift;
mod feedback;
mod folds;
mod gate;
#[cfg(test)]
mod honesty;
pub mod improvement;
mod incremental;
mod known;
mod labels;
mod live;
pub mod outcomes;
pub mod performance;
mod shrinkage;
mod train;
mod weights;

pub use dataset::{MIN_ROWS, candles_needed};
pub use decide::{Abstention, Costs, choose};
pub use feedback::{Feedback, LiveRow};
pub use folds::{Fold, walk_forward};
pub use incremental::{Continued, MIN_NEW_ROWS, cannot_continue, continue_market};
pub use labels::{Ending, Entry, Label, label, levels_at};
pub use live::{LEVEL, LiveOutcome, LiveRecord, MIN_CLOSED, weigh};
pub use shrinkage::believe;
pub use train::{Candidate, Step, train_market};
pub use weights::{OLDEST_DECAY, average_uniqueness, proportional_uniqueness, time_decay};
