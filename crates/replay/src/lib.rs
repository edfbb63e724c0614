//! Replay: runs the loop of a home over past candles and past signals with a simulated clock, and tells what it would
//! have said, taken, earned and learned.

pub mod csv;
mod decision;
mod difference;
pub mod ledger;
pub mod overfitting;
mod rows;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod verdict;

pub use decision::{Advice, Decision};
pub use difference::Difference;
pub use summary::Summary;
pub use verdict::Verdict;
