//! Replay: runs the loop of a home over past candles and past signals with a simulated clock, and tells what it would
//! have said, taken, earned and learned.
//!
//! Imports `engine` and what it stands on. It writes only into a folder of its own: nothing of the user's home changes
//! while it runs. The rules of trading and learning are those of the live loop, which runs here on another clock.

mod decision;
mod faults;
mod folder;
mod given;
mod happened;
mod options;
mod past;
mod run;
mod steps;
mod whole;

pub use decision::{Advice, Decision};
pub use faults::{Fault, Faults};
pub use given::{Asked, Bar, Given, Source, Strategy, StrategyFuture, signals_of};
pub use happened::{Happened, Note};
pub use options::{OnFault, Options, Part};
pub use past::candles_in;
pub use run::Progress;
pub use whole::{Replayed, RunResult, replay};
