//! Models: their families, how good they are, their files, and which of them is in service.

mod bins;
mod family;
#[doc(hidden)]
pub mod file;
mod forest;
mod grow;
#[doc(hidden)]
pub mod ledger;
mod lineage;
mod metrics;
#[doc(hidden)]
pub mod served;
mod walks;

pub use bins::Bins;
pub use family::{Boosting, BoostingParameters, Families, Family, Linear, Sample};
pub use forest::{Forest, ForestParameters};
pub use ledger::{ComparedOn, Comparison, Decision, Entry, Interval, Ledger, Mode, Pair, Rollback, Trial, Verdict};
pub use lineage::{Evidence, HeldOut, Lineage};
pub use metrics::{Held, Scores, log_loss};
pub use served::{Champion, Model, Payoff, Probabilities, Record, Side, shrink};
