//! Replay: runs the loop of a home over past candles and past signals with a simulated clock, and tells what it would
//! have said, taken, earned and learned.
//!
//! Imports `engine` and what it stands on. It writes only into a folder of its own: nothing of the user's home changes
//! while it runs. The rules of trading and learning are those of the live loop, which runs here on another clock.

mod adopt;
pub mod csv;
mod decision;
mod difference;
mod faults;
mod file;
mod folder;
mod given;
mod happened;
pub mod ledger;
mod options;
pub mod overfitting;
mod past;
mod rows;
mod run;
mod runs;
mod steps;
mod study;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod verdict;

pub use adopt::{Adopted, adopt};
pub use decision::{Advice, Decision};
pub use difference::Difference;
pub use faults::{Fault, Faults};
pub use file::{Refused, signals_in};
pub use given::{Asked, Bar, Given, Source, Strategy, StrategyFuture, signals_of};
pub use happened::{Happened, Note};
pub use options::{OnFault, Options, Part};
pub use past::candles_in;
pub use rows::{End, Row};
pub use run::Progress;
pub use runs::{Replayed, RunResult, replay};
pub use study::{Request, Study, Wanted, WithoutPart, study};
pub use summary::Summary;
pub use verdict::Verdict;
