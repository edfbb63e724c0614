//! Replay: runs the loop of a home over past candles and past signals with a simulated clock, and tells what it would
//! have said, taken, earned and learned.

mod decision;

pub use decision::{Advice, Decision};
