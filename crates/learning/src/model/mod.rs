//! Models: the families of learners, their scores, their files, and the ledger of trainings.

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
mod own;
pub mod pool;
mod ranked;
pub mod served;

pub use bins::Bins;
pub use evidence::{ClusterSums, Departure, HeldOutEvidence, MIN_CLUSTERS, PerFamily, Slope};
pub use family::{Boosting, BoostingParameters, Families, Family, Linear, Sample};
pub use forest::{Forest, ForestParameters};
pub use ledger::{ComparedOn, Comparison, Decision, Entry, GateVerdict, Interval, Ledger, Mode, Pair, Rollback, Trial};
pub use lineage::{Conceded, HeldOut, Lineage};
pub use metrics::{Held, Scores, log_loss};
pub use own::{Blend, Level, OwnEvidence, OwnPart, OwnRecord, OwnSide, OwnSideRecord, OwnSlope, OwnSums};
pub use pool::{Pool, PoolRecord, PoolSide, ShapeRecord, ShapedPool, Skill};
pub use served::{Champion, Model, Payoff, Probabilities, Record, Side, believed};
