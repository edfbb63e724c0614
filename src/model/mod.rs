//! Models: forests, how good they are, their files, and which of them is in service.

mod bins;
mod file;
mod forest;
mod grow;
mod ledger;
mod lineage;
mod metrics;
mod registry;
mod served;
mod state;
mod walks;

pub use bins::Bins;
pub use forest::{Forest, ForestParameters};
pub use ledger::{ComparedOn, Comparison, Decision, Entry, Interval, Ledger, Mode, Pair, Rollback, Trial, Verdict};
pub use lineage::{Evidence, HeldOut, Lineage};
pub use metrics::{Held, Scores, log_loss};
pub use registry::{Champion, CopiedModels, Listed, RefusedModels, Registry};
pub use served::{Model, Payoff, Probabilities, Record, Side, shrink};
