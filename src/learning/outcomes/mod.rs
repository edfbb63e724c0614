//! Learning from outcomes: the probability that a signal succeeds, from all signals that have closed.

mod base_rate;
mod calibration;
mod case;
mod change;
mod checkpoint;
mod forest;
mod layout;
mod learner;
mod lives;
#[cfg(test)]
mod overlap;
mod patterns;
mod reasons;
mod region;
#[cfg(test)]
mod replay;

pub use calibration::PROBABILITY_RANGE;
pub use case::{Case, Lesson};
pub use checkpoint::Checkpoint;
pub use forest::{Growth, OutcomeForest, Table};
pub use learner::{Chances, Evidence, Learner, MAX_LESSONS, OutcomeModel};
pub use patterns::{MIN_CLOSED, Pattern, find as find_patterns};
pub use region::Tally;
