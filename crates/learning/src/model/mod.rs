//! Models: families of learners, how good they are, their files, and which of them is in service.

mod bins;
mod evidence;
mod family;
pub mod file;
mod forest;
mod grow;
pub mod ledger;
mod lineage;
mod metrics;
mod old;
pub mod pool;
pub mod served;
mod walks;

pub use bins::Bins;
pub use evidence::{Departure, Evidence, MIN_CLUSTERS, PerFamily, Slope, Sums};
pub use family::{Boosting, BoostingParameters, Families, Family, Linear, Sample};
pub use forest::{Forest, ForestParameters};
pub use ledger::{ComparedOn, Comparison, Decision, Entry, Interval, Ledger, Mode, Pair, Rollback, Trial, Verdict};
pub use lineage::{Conceded, HeldOut, Lineage};
pub use metrics::{Held, Scores, log_loss};
pub use pool::{Pool, PoolRecord, PoolSide, ShapeRecord, ShapedPool, Skill};
pub use served::{Champion, Model, Payoff, Probabilities, Record, Side, believed};
