//! Learning from outcomes: estimates the probability that a signal succeeds, from all closed signals.

mod case;
mod change;
mod checkpoint;
mod cholesky;
mod contributions;
mod design;
mod forest;
#[cfg(test)]
mod fresh;
mod layout;
mod learner;
mod levels;
mod model;
#[cfg(test)]
mod overlap;
pub mod patterns;
mod payoff;
mod process;
mod reasons;
mod region;
#[cfg(test)]
mod replay;
mod scores;
mod stack;
mod survivors;

pub use case::{Case, Lesson, PROBABILITY_RANGE};
pub use checkpoint::Checkpoint;
pub use contributions::{Contribution, SOURCE_NAMES, contributions};
pub use forest::{Growth, OutcomeForest, Table};
pub use learner::{Evidence, Learner, MAX_LESSONS};
pub use model::{Chances, OutcomeModel};
pub use patterns::{MIN_CLOSED, Pattern, find as find_patterns};
pub use region::Tally;
pub use scores::normal_quantile;
pub use stack::SOURCES;
pub use survivors::Open;
