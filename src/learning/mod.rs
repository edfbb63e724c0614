//! Learning: labels, weights, folds, training, and the decision that a model's probabilities lead to.

mod decide;
mod folds;
mod labels;
pub mod outcomes;
mod shrinkage;
mod train;
mod weights;

pub use decide::{Abstention, Costs, choose};
pub use folds::{Fold, walk_forward};
pub use labels::{Ending, Entry, Label, label, levels_at};
pub use shrinkage::believe;
pub use train::{MIN_ROWS, Step, train_market};
pub use weights::{OLDEST_DECAY, average_uniqueness, time_decay};
