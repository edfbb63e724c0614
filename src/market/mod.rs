//! Candles: what they are, where they come from, how they are kept.

mod candle;
mod csv;

pub use candle::{Candle, check_series};
pub use csv::{candle_file, merge, read_csv, write_csv};
