//! Learning: labels, weights, folds, training, the gate between a new model and service, the decision that a model's
//! probabilities lead to, what outcomes teach, and what live results say: poor performance, improvement, drift.

#[cfg(test)]
mod adjusted;
mod clusters;
mod dataset;
mod decide;
pub mod drift;
pub mod features;
mod feedback;
mod folds;
mod gate;
pub mod harm;
pub mod improvement;
mod incremental;
#[cfg(test)]
mod judgements;
mod labels;
#[cfg(test)]
mod leakage;
mod live;
pub mod model;
pub mod outcomes;
pub mod performance;
mod pool;
pub mod scorecard;
mod shapes;
mod shrinkage;
mod train;
mod weights;

pub use clusters::{Weighed, Z_95, cluster_ms, interval};
pub use dataset::{Dataset, MIN_ROWS, candles_needed};
pub use decide::{Abstention, Costs, choose};
pub use feedback::{Feedback, LiveRow};
pub use folds::{Fold, walk_forward};
pub use incremental::{Continued, MIN_NEW_ROWS, cannot_continue, continue_pool};
pub use labels::{Ending, Entry, Label, label, levels_at};
pub use live::{LEVEL, LiveOutcome, LiveRecord, MIN_CLOSED, weigh};
pub use shapes::{FoundShape, Place, SignalLevels, find_shapes};
pub use shrinkage::{believe, stack};
pub use train::{Candidate, PoolTraining, Step, train_market, train_pool, train_shape};
pub use weights::{OLDEST_DECAY, average_uniqueness, time_decay};
