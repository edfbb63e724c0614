//! Candles: what they are, where they come from, how they are kept.

mod candle;
mod csv;
mod exchange;
mod http;
mod simulator;
mod source;

pub use candle::{Candle, check_series};
pub use csv::{candle_file, merge, read_csv, write_csv};
pub use exchange::Exchange;
pub use simulator::{Fault, Simulator, SimulatorOptions};
pub use source::{CandleFuture, CandleSource, Fetched, update};
