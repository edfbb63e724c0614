//! Models: forests, how good they are, and their files.

mod forest;
mod metrics;
mod registry;
mod served;

pub use forest::{Forest, ForestParameters};
pub use metrics::{Held, Scores, log_loss};
pub use registry::Registry;
pub use served::{Model, Probabilities, Record, Side, shrink};
