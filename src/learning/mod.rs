//! Learning: labels, weights, folds, training, the decision that a model's probabilities lead to, and what live results
//! say of it: poor performance, improvement, drift.

mod decide;
pub mod drift;
mod folds;
pub mod improvement;
mod labels;
pub mod outcomes;
pub mod performance;
mod shrinkage;
mod train;
mod weights;

pub use decide::{Abstention, Costs, choose, choose_with_margin};
pub use folds::{Fold, walk_forward};
pub use labels::{Ending, Entry, Label, label, levels_at};
pub use shrinkage::believe;
pub use train::{MIN_ROWS, Step, train_market};
pub use weights::{OLDEST_DECAY, average_uniqueness, time_decay};
